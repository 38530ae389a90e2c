"""Trains a model with Lightning, epoch by epoch on disk, resumable at any moment.

<stage>/metrics.csv          epoch, split, loss, accuracy
<stage>/predictions.npy      int32 [epochs + 1, test samples], predicted classes
<stage>/losses.npy           float32 [epochs + 1, test samples], cross-entropies
<stage>/checkpoints/         weights of every epoch; last.ckpt, with the optimiser, while training goes on
"""

import logging
import os
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import lightning
import numpy as np
import pandas as pd
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.accelerators import CPUAccelerator
from lightning.pytorch.callbacks import Checkpoint
from omegaconf import DictConfig, OmegaConf
from tqdm import tqdm

from checkpoints import disk
from conf.errors import BadInput
from stages.files import write_array, written
from training.classifier import LightningClassifier

Row = dict[str, float]


def fit(
    module: LightningClassifier,
    data: lightning.LightningDataModule,
    folder: Path,
    epochs: int,
    kept: set[int],
    trainer_options: DictConfig,
    track: Callable[[Row], None],
) -> None:
    """Trains for `epochs`, from where it was if `folder` holds an interrupted training."""
    quiet_lightning()
    last = folder / "checkpoints" / "last.ckpt"
    keeper = EveryEpoch(folder, kept, last, track)
    trainer = make_trainer(
        trainer_options,
        max_epochs=epochs,
        callbacks=[keeper, Progress(module.stage, epochs)],
        plugins=[disk.AtomicCheckpointIO()],
        default_root_dir=folder,
    )
    resume = last if last.exists() else None
    if resume and not zipfile.is_zipfile(resume):
        raise BadInput(f"{last} can't be read, so {module.stage} can't go on: delete it to begin that stage anew")
    trainer.fit(module, data, ckpt_path=resume, weights_only=True)
    if trainer.interrupted:
        raise KeyboardInterrupt
    if trainer.is_global_zero:
        last.unlink(missing_ok=True)
    trainer.strategy.barrier()


def make_trainer(options: DictConfig, **ours: object) -> lightning.Trainer:
    """Lightning's trainer with the user's options and `ours`. Raises BadInput if Lightning refuses them."""
    try:
        trainer = lightning.Trainer(
            **OmegaConf.to_container(options, resolve=True),
            **ours,
            num_sanity_val_steps=-1,  # the whole test set before training: that is epoch 0
            reload_dataloaders_every_n_epochs=1,
            logger=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
    except (TypeError, ValueError, RuntimeError, MisconfigurationException) as error:
        raise BadInput(f"trainer: Lightning refuses these options: {str(error).splitlines()[0]}") from error
    if isinstance(trainer.accelerator, CPUAccelerator) and trainer.num_devices > os.cpu_count():
        raise BadInput(f"trainer.devices={trainer.num_devices} is more than the {os.cpu_count()} cores of this machine")
    return trainer


class EveryEpoch(Checkpoint):
    """Keeps what each epoch came to: weights, metrics, predictions. It runs after all other callbacks of an epoch."""

    def __init__(self, folder: Path, kept: set[int], last: Path, track: Callable[[Row], None]) -> None:
        self.folder, self.kept, self.last, self.track = folder, kept, last, track
        self.rows: list[Row] = []
        self.losses: list[torch.Tensor] = []
        self.predictions: list[torch.Tensor] = []

    def state_dict(self) -> dict:
        return {"rows": self.rows, "losses": self.losses, "predictions": self.predictions}

    def load_state_dict(self, state: dict) -> None:
        self.rows, self.losses, self.predictions = state["rows"], state["losses"], state["predictions"]
        for row in self.rows:  # a resumed W&B run is complete by itself
            self.track(row)

    def on_train_start(self, trainer: lightning.Trainer, module: LightningClassifier) -> None:
        if not self.rows:
            self._keep(trainer, module, epoch=0)

    def on_train_epoch_end(self, trainer: lightning.Trainer, module: LightningClassifier) -> None:
        if not np.isfinite(module.train_loss):
            raise BadInput(
                f"{module.stage}: the loss is {module.train_loss} in epoch {trainer.current_epoch + 1}; "
                f"nothing of that epoch is kept; lower {module.stage}.lr"
            )
        self._keep(trainer, module, epoch=trainer.current_epoch + 1)
        trainer.save_checkpoint(self.last)

    def _keep(self, trainer: lightning.Trainer, module: LightningClassifier, epoch: int) -> None:
        labels = torch.as_tensor(np.asarray(trainer.datamodule.splits.test.labels))
        row = {"epoch": epoch}
        if epoch > 0:
            row |= {"train/loss": module.train_loss, "train/accuracy": module.train_accuracy}
        right = (module.test_predictions == labels).double().mean().item()
        row |= {"test/loss": module.test_losses.double().mean().item(), "test/accuracy": right}
        self.rows.append(row)
        self.losses.append(module.test_losses.clone())
        self.predictions.append(module.test_predictions.clone())
        if not trainer.is_global_zero:
            return
        if epoch in self.kept:
            disk.write(self.folder, epoch, module.model.state_dict())
        self._write_metrics()
        self.track(row)

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


class Progress(lightning.Callback):
    """One bar for the whole training, with the time left."""

    def __init__(self, stage: str, epochs: int) -> None:
        self.stage, self.epochs = stage, epochs

    def on_train_start(self, trainer: lightning.Trainer, module: LightningClassifier) -> None:
        total = trainer.estimated_stepping_batches * trainer.accumulate_grad_batches
        self.bar = tqdm(
            total=int(total), initial=trainer.fit_loop.total_batch_idx + 1, desc=self.stage, unit="batch",
            disable=not trainer.is_global_zero, dynamic_ncols=True, mininterval=0.5,
        )  # fmt: skip

    def on_train_batch_end(self, *_: object) -> None:
        self.bar.update()

    def on_train_epoch_end(self, trainer: lightning.Trainer, module: LightningClassifier) -> None:
        labels = torch.as_tensor(np.asarray(trainer.datamodule.splits.test.labels))
        accuracy = (module.test_predictions == labels).double().mean()
        self.bar.set_postfix_str(f"epoch {trainer.current_epoch + 1}/{self.epochs}, test accuracy {accuracy:.3f}")

    def on_train_end(self, *_: object) -> None:
        self.bar.close()


def quiet_lightning() -> None:
    """Its advice on workers and hardware is not for these runs, and its advertisement for nobody."""
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    logging.getLogger("lightning.fabric").setLevel(logging.ERROR)
    for message in (
        ".*does not have many workers.*",
        ".*smaller than the logging interval.*",
        ".*srun.*",
        ".*LeafSpec.*",
        ".*functional.all_gather is deprecated.*",
    ):
        warnings.filterwarnings("ignore", message=message)
