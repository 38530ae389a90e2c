"""Files that are whole or not there: written beside, on disk, then renamed into place."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np


@contextmanager
def written(path: Path) -> Iterator[Path]:
    """Gives a path to write to, and renames it to `path` once its content is on disk: what exists is complete.

    Its name is always the same, so that what a killed run left is overwritten; one process at a time works there.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f"{path.name}.tmp")
    try:
        yield beside
        with beside.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    with written(path) as beside:
        beside.write_text(text, encoding="utf-8")


def write_array(path: Path, array: np.ndarray) -> None:
    """As .npy, whatever the name is."""
    with written(path) as beside, beside.open("wb") as file:
        np.save(file, array)
