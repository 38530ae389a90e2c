"""Callbacks: they write the results of every epoch to disk, end a training in time, and move the progress bar."""

import math
from pathlib import Path

import lightning
import numpy as np
import pandas as pd
import torch
from lightning.pytorch.callbacks import Checkpoint
from torch.serialization import get_unsafe_globals_in_checkpoint

from checkpoints import disk
from conf.errors import BadInput
from stages.files import remove, write_array, written
from stages.processes import is_first_process
from stages.progress import Bar
from training.classifier import LightningClassifier
from training.mirror import Mirror, Row


class EveryEpoch(Checkpoint):
    """Writes the results of each epoch: weights, metrics, predictions. It runs after all other callbacks of an epoch.

    kept: the epochs whose weights are kept; those of the last epoch always are, even if the training is stopped early.
    last: the file from which an interrupted training continues.
    """

    def __init__(self, folder: Path, kept: set[int], last: Path, mirror: Mirror) -> None:
        self.folder, self.kept, self.last, self.mirror = folder, kept, last, mirror
        self.should_stop = False
        self.rows: list[Row] = []
        self.losses: list[torch.Tensor] = []
        self.predictions: list[torch.Tensor] = []

    def state_dict(self) -> dict:
        own = {"rows": self.rows, "losses": self.losses, "predictions": self.predictions}
        return own | {"logged": self.mirror.rows, "should_stop": self.should_stop}

    def load_state_dict(self, state: dict) -> None:
        self.rows, self.losses, self.predictions = state["rows"], state["losses"], state["predictions"]
        self.mirror.restore(state["logged"])
        if is_first_process():
            self._write_metrics()  # the files may have been damaged since, and there may be no epoch left to train

    def on_load_checkpoint(self, trainer: lightning.Trainer, _: LightningClassifier, checkpoint: dict) -> None:
        # A training that was stopped early must not continue because it was killed before it was marked complete.
        trainer.should_stop = checkpoint["callbacks"][self.state_key]["should_stop"]

    def on_train_start(self, trainer: lightning.Trainer, module: LightningClassifier) -> None:
        if self.rows:
            return
        if trainer.is_global_zero:
            remove(self.last)  # the training starts again from the beginning
        self._keep(trainer, module, epoch=0)

    def on_train_epoch_end(self, trainer: lightning.Trainer, module: LightningClassifier) -> None:
        if not np.isfinite(module.train_loss):
            raise BadInput(
                f"{module.stage}: the loss is {module.train_loss} in epoch {trainer.current_epoch + 1}; "
                f"nothing of that epoch is kept; lower {module.stage}.lr"
            )
        self.should_stop = trainer.should_stop
        self._keep(trainer, module, epoch=trainer.current_epoch + 1)
        trainer.save_checkpoint(self.last)
        check_safe(self.last, module.stage)

    def _keep(self, trainer: lightning.Trainer, module: LightningClassifier, epoch: int) -> None:
        row = {"epoch": epoch}
        if epoch > 0:
            row |= {"train/loss": module.train_loss, "train/accuracy": module.train_accuracy}
        row |= {"test/loss": module.test_loss, "test/accuracy": module.test_accuracy}
        self.rows.append(row)
        self.losses.append(module.test_losses.clone())
        self.predictions.append(module.test_predictions.clone())
        if trainer.is_global_zero:
            stops = self.should_stop and epoch >= (trainer.min_epochs or 0)
            if stops or epoch in self.kept:
                disk.write(self.folder, epoch, module.model.state_dict())
            self._write_metrics()
        self.mirror.end_epoch(row)

    def _write_metrics(self) -> None:
        table = [
            (row["epoch"], split, row[f"{split}/loss"], row[f"{split}/accuracy"])
            for row in self.rows
            for split in ("train", "test")
            if f"{split}/loss" in row
        ]
        with written(self.folder / "metrics.csv") as beside:
            pd.DataFrame(table, columns=["epoch", "split", "loss", "accuracy"]).to_csv(beside, index=False)
        for name, tensors in (("predictions", self.predictions), ("losses", self.losses)):
            write_array(self.folder / f"{name}.npy", torch.stack(tensors).numpy())


def check_safe(last: Path, stage: str) -> None:
    """Raises BadInput if some callback's state in `last` can only be read at the risk of running code."""
    if unsafe := get_unsafe_globals_in_checkpoint(last):
        raise BadInput(
            f"{stage} can't continue from {last} when it is interrupted: a callback keeps objects of "
            f"{', '.join(sorted(unsafe)[:3])} in its state, and to read them could run code; let its state_dict() hold "
            f"numbers, strings and tensors alone, delete that file and run {stage} again"
        )


class Iterations(lightning.Callback):
    """Ends the training after so many steps of the optimiser (None: not at all), wherever the epoch is.

    Lightning then ends the epoch as it ends any other, with the test set and all callbacks.
    """

    def __init__(self, steps: int | None) -> None:
        self.steps = steps

    def on_train_batch_end(self, trainer: lightning.Trainer, *_: object) -> None:
        trainer.should_stop |= self.steps is not None and trainer.global_step >= self.steps


class Progress(lightning.Callback):
    """Shows one bar for the whole training, with the time left; without a terminal, a line per epoch."""

    LONG = 600  # seconds: in an epoch that takes longer, lines are printed in between

    def __init__(self, stage: str, iterations: int | None) -> None:
        self.stage, self.iterations = stage, iterations

    def on_train_start(self, trainer: lightning.Trainer, module: LightningClassifier) -> None:
        most = trainer.estimated_stepping_batches
        steps = min(most, self.iterations or most)
        self.epochs, total = math.ceil(steps * trainer.max_epochs / most), steps * trainer.accumulate_grad_batches
        self.bar = Bar(
            total=int(total), initial=trainer.fit_loop.total_batch_idx + 1, desc=self.stage, unit="batch",
            disable=not trainer.is_global_zero, mininterval=0.5, every=self.LONG,
        )  # fmt: skip

    def on_train_batch_end(self, *_: object) -> None:
        self.bar.update()

    def on_train_epoch_end(self, trainer: lightning.Trainer, module: LightningClassifier) -> None:
        epoch = f"epoch {trainer.current_epoch + 1}/{self.epochs}"
        self.bar.milestone(f"{epoch}, test accuracy {module.test_accuracy:.3f}")

    def on_train_end(self, *_: object) -> None:
        self.bar.close()
