"""A training that takes a fraction of a second: three classes of points, a network with dropout and batch-norm."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path

import lightning
import numpy as np
import torch
from omegaconf import OmegaConf
from torch import nn

from checkpoints import disk
from data.module import Batches
from data.splits import InMemory, Splits
from stages.results import epochs_kept
from training.classifier import LightningClassifier
from training.fit import fit

EPOCHS = 3
OPTIONS = {"optimizer": "adamw", "lr": 0.01, "weight_decay": 0.01, "momentum": 0.9, "schedule": "cosine"}
OPTIONS |= {"step_epochs": 1, "step_factor": 0.5, "iterations": None}
TRAINER = {"accelerator": "cpu", "devices": 1}


class Killed(Exception):
    pass


def splits() -> Splits:
    draw = torch.Generator().manual_seed(0)
    centres = torch.randn(3, 4, generator=draw)
    sets = []
    for size in (48, 30):
        labels = np.arange(size) % 3
        sets.append(InMemory(centres[labels] + torch.randn(size, 4, generator=draw), labels))
    return Splits(*sets, classes=("a", "b", "c"))


def network() -> nn.Module:
    return nn.Sequential(nn.Linear(4, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.5), nn.Linear(16, 3))


def training(
    folder: Path,
    track: Callable[[dict], None] = lambda row: None,
    trainer: dict | None = None,
    kept: Iterable[int] | None = None,
    epochs: int = EPOCHS,
    **options: object,
) -> int:
    """What `fit` returns; the same weights from whatever random state. 3 batches in an epoch; all epochs are kept."""
    torch.manual_seed(5)
    model = network()
    torch.seed()
    options = OmegaConf.create(OPTIONS | options)
    module = LightningClassifier(model, options, 30, seed=0, stage="finetune")
    data = Batches(splits(), 16, seed=0)
    kept = set(range(epochs + 1) if kept is None else kept)
    return fit(
        module, data, folder, epochs, kept, OmegaConf.create(TRAINER | (trainer or {})), track, options.iterations
    )


def killer(epoch: int) -> Callable[[dict], None]:
    """Kills the training once the results of `epoch` are on disk, but not yet the state to go on from."""

    def track(row: dict) -> None:
        if row["epoch"] == epoch:
            raise Killed

    return track


def same(one: Path, other: Path) -> None:
    """Asserts that two folders hold the same files, the weights with the same bits."""
    assert epochs_kept(one) == epochs_kept(other)
    for epoch in epochs_kept(one):
        left, right = (disk.read(disk.path(folder, epoch)) for folder in (one, other))
        assert left.keys() == right.keys()
        assert all(torch.equal(left[key], right[key]) for key in left), f"epoch {epoch}"
    for name in ("metrics.csv", "predictions.npy", "losses.npy"):
        assert (one / name).read_bytes() == (other / name).read_bytes()


class Noted(lightning.Callback):
    """Leaves the metrics that each process sees at the end, in a file of its own."""

    def __init__(self, folder: str) -> None:
        self.folder = Path(folder)

    def on_train_end(self, trainer: lightning.Trainer, module: LightningClassifier) -> None:
        seen = {key: float(value) for key, value in trainer.callback_metrics.items()}
        (self.folder / f"seen_{trainer.global_rank}.json").write_text(json.dumps(seen))


def in_two_processes(folder: Path, callbacks: list[dict]) -> None:
    """A training by two processes, in `folder`/stage; started in a process of its own, which has not computed yet."""
    noted = {"_target_": "tiny_training.Noted", "folder": str(folder)}
    trainer = {"devices": 2, "strategy": "ddp_fork", "callbacks": [noted, *callbacks]}
    trained = training(folder / "stage", trainer=trainer)
    (folder / "trained.json").write_text(json.dumps(trained))
