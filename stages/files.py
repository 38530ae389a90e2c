"""Files that are whole or do not exist: written beside, on disk, then renamed into place."""

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
    """Gives a path to write to, and renames it to `path` once its content is on disk: what exists is complete.

    Its name is this process's own: two that write the same file do not write into each other's. What a killed process
    leaves is removed when its result is begun again (stages/results.py). Raises OSError that names `path` if the disk
    is full, whatever kind of error the writer makes of that.
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
    """A new folder in that of `folder`, for what will be renamed to `folder`; removed afterwards, with what is left."""
    with tempfile.TemporaryDirectory(suffix=".tmp", dir=folder.parent) as made:
        unfinished.add(Path(made))
        try:
            yield Path(made)
        finally:
            unfinished.discard(Path(made))


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


def write_archive(path: Path, /, **arrays: np.ndarray) -> None:
    """As .npz, whatever the name is: it has a checksum of every array, which numpy compares when it reads one."""
    with written(path) as beside, beside.open("wb") as file:
        np.savez(file, **arrays)
