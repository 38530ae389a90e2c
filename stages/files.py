"""Writes files that are complete or do not exist: to a temporary file, synced to disk, then renamed into place.

All that changes what lies in a folder that this process has locked goes through here: nothing is renamed or removed
once another process has taken over (stages/locks.py)."""

import errno
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from stages.lease import TakenOver
from stages.locks import check_owner
from stages.signals import unfinished
from stages.space import is_no_space


@contextmanager
def written(path: Path) -> Iterator[Path]:
    """Gives a path to write to, and renames it to `path` once its content is on disk: a file that exists is complete.

    Its name belongs to this process alone: two that write the same file do not write into each other's. Files that a
    killed process leaves are removed when their result is begun again (stages/results.py). Raises OSError that names
    `path` if the disk is full, whichever error the writer raises; TakenOver as `replace` does.
    """
    check_owner(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    made = beside(path)
    unfinished.add(made)
    try:
        yield made
        with made.open("rb") as file:
            os.fsync(file.fileno())
        replace(made, path)
    except (OSError, RuntimeError) as error:
        if is_no_space(error):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path)) from error
        raise
    finally:
        made.unlink(missing_ok=True)
        unfinished.discard(made)


def replace(made: Path, path: Path) -> None:
    """Renames `made` to `path`. If `path` lies where this process may write no more, removes the file `made` and
    raises TakenOver."""
    try:
        check_owner(path)
    except TakenOver:
        made.unlink(missing_ok=True)
        raise
    os.replace(made, path)


def remove(path: Path) -> None:
    """Removes a file, a link, or a folder with its content, if it is there. Raises TakenOver as `replace` does."""
    check_owner(path)
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


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
