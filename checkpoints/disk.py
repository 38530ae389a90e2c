"""Weights of every epoch on disk. Epoch e is the model after e epochs; epoch 0 is before training."""

from functools import partial
from pathlib import Path

import torch
from lightning.pytorch.plugins.io import TorchCheckpointIO

from models.weights import State
from stages.files import written
from stages.reading import parsed


def path(folder: Path, epoch: int) -> Path:
    return folder / "checkpoints" / f"epoch_{epoch:03d}.pt"


def write(folder: Path, epoch: int, state: State) -> None:
    """The same bytes for the same weights: torch.save would put a file's name into it, but not that of an open file."""
    with written(path(folder, epoch)) as beside, beside.open("wb") as file:
        torch.save({key: tensor.detach().cpu() for key, tensor in state.items()}, file)


def read(file: Path) -> State:
    """The weights in `file`, which a stage made. Raises BadInput if there is no such file, Damaged if its content has
    changed or can't be read."""
    return parsed(file, partial(torch.load, map_location="cpu", weights_only=True))


class AtomicCheckpointIO(TorchCheckpointIO):
    """Lightning stages a checkpoint in $TMPDIR and moves it, which copies, and so can be cut short, if that is another
    file system: write beside and rename instead."""

    def save_checkpoint(self, checkpoint: dict, path: str, storage_options: object = None) -> None:
        with written(Path(path)) as beside:
            torch.save(checkpoint, beside)
