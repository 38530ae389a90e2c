"""Files that are whole or not there: written beside, on disk, then renamed into place."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np


@contextmanager
def written(path: Path) -> Iterator[Path]:
    """Gives a path to write to, and renames it to `path` once its content is on disk: what exists is complete.

    Its name is this process's own: two that write the same file do not write into each other's. What a killed process
    leaves is removed when its result is begun again (stages/results.py).
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    made = beside(path)
    try:
        yield made
        with made.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(made, path)
    finally:
        made.unlink(missing_ok=True)


def beside(path: Path) -> Path:
    """A new path in the same folder, for what will be renamed to `path`."""
    return path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")


def is_temporary(path: Path) -> bool:
    """Whether it is what `beside` gave and nobody renamed."""
    return path.name.startswith(".") and path.suffix == ".tmp"


def write_text(path: Path, text: str) -> None:
    with written(path) as beside:
        beside.write_text(text, encoding="utf-8")


def write_array(path: Path, array: np.ndarray) -> None:
    """As .npy, whatever the name is."""
    with written(path) as beside, beside.open("wb") as file:
        np.save(file, array)


def write_archive(path: Path, **arrays: np.ndarray) -> None:
    """As .npz, whatever the name is: it has a checksum of every array, which numpy compares when it reads one."""
    with written(path) as beside, beside.open("wb") as file:
        np.savez(file, **arrays)
