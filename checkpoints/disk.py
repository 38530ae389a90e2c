"""Writes and reads the weights of every epoch. Epoch e is the model after e epochs; epoch 0 is before training."""

from functools import partial
from pathlib import Path

import torch
from lightning.pytorch.plugins.io import TorchCheckpointIO

from models.weights import State
from stages.files import written
from stages.reading import parsed

FILES = ("checkpoints/epoch_*.pt",)


def path(folder: Path, epoch: int) -> Path:
    return folder / "checkpoints" / f"epoch_{epoch:03d}.pt"


def write(folder: Path, epoch: int, state: State) -> None:
    """Writes the same bytes for the same weights: torch.save would add the name of a path, but not that of an open
    file."""
    with written(path(folder, epoch)) as beside, beside.open("wb") as file:
        torch.save({key: tensor.detach().cpu() for key, tensor in state.items()}, file)


def read(file: Path) -> State:
    """Reads the weights in `file`, which a stage made.

    Raises BadInput if the file does not exist, and Damaged if its content has changed or can't be read.
    """
    return parsed(file, partial(torch.load, map_location="cpu", weights_only=True))


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint next to its final place and renames it.

    Lightning writes it to $TMPDIR and moves it. If $TMPDIR is on another file system, this copies the file, and the
    copy can be cut short.
    """

    def save_checkpoint(self, checkpoint: dict, path: str, storage_options: object = None) -> None:
        with written(Path(path)) as beside:
            torch.save(checkpoint, beside)
