"""Writes files that are complete or do not exist: to a temporary file, synced to disk, then renamed into place."""

import errno
import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from stages.signals import unfinished
from stages.space import is_no_space


@contextmanager
def written(path: Path) -> Iterator[Path]:
    """Gives a path to write to, and renames it to `path` once its content is on disk: a file that exists is complete.

    Its name belongs to this process alone: two that write the same file do not write into each other's. Files that a
    killed process leaves are removed when their result is begun again (stages/results.py). Raises OSError that names
    `path` if the disk is full, whichever error the writer raises.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    made = beside(path)
    unfinished.add(made)
    try:
        yield made
        with made.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(made, path)
    except (OSError, RuntimeError) as error:
        if is_no_space(error):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path)) from error
        raise
    finally:
        made.unlink(missing_ok=True)
        unfinished.discard(made)


@contextmanager
def folder_beside(folder: Path) -> Iterator[Path]:
    """Gives a new folder beside `folder`, for what will be renamed to `folder`; it is removed afterwards."""
    with tempfile.TemporaryDirectory(suffix=".tmp", dir=folder.parent) as made:
        unfinished.add(Path(made))
        try:
            yield Path(made)
        finally:
            unfinished.discard(Path(made))


def beside(path: Path) -> Path:
    """Returns a new path in the same folder, for what will be renamed to `path`."""
    return path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")


def is_temporary(path: Path) -> bool:
    """Tells whether the path was made by `beside` and not renamed since."""
    return path.name.startswith(".") and path.suffix == ".tmp"


def write_text(path: Path, text: str) -> None:
    with written(path) as beside:
        beside.write_text(text, encoding="utf-8")


def write_array(path: Path, array: np.ndarray) -> None:
    """Writes the array as .npy, whatever the file's name is."""
    with written(path) as beside, beside.open("wb") as file:
        np.save(file, array)


def write_archive(path: Path, /, **arrays: np.ndarray) -> None:
    """Writes the arrays as .npz, whatever the file's name is. It has a checksum of every array, which numpy checks
    on reading."""
    with written(path) as beside, beside.open("wb") as file:
        np.savez(file, **arrays)
