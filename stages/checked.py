"""Remembers which files could be read, by a mark of 8 bytes each, so that they are not checked again.

A mark stands for a path with its size and date, so a file that is replaced has another mark. All marks are one
sorted array in <output>/results/images.npy: 10 MB for a million files. Several processes may share it: each adds
what it has learned, and the last one wins. If the array is damaged or deleted, the files are checked again.
"""

import hashlib
import os
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path

import numpy as np
from omegaconf import DictConfig

from stages.files import write_array
from stages.fingerprints import SETTLED

RULES = 1  # version of the check: marks of other versions are not used
UNKNOWN = np.uint64(0)  # the mark of a file that can't be looked at, or may change again under the same date


class Checked:
    def __init__(self, file: Path) -> None:
        self._file = file
        self._known = _read(file)
        self._new = False

    def known(self, marks: np.ndarray) -> np.ndarray:
        """Tells which marks belong to files that could be read: bool [N]."""
        return np.isin(marks, self._known)

    def learn(self, marks: np.ndarray) -> None:
        """Adds the marks of files that could be read."""
        marks = marks[marks != UNKNOWN]
        self._new |= len(marks) > 0
        self._known = np.union1d(self._known, marks)

    def save(self) -> None:
        """Adds what is new to the file. A read-only disk costs time in the next run, but is not an error."""
        if self._new:
            with suppress(OSError):
                write_array(self._file, np.union1d(_read(self._file), self._known))
                self._new = False


def checked_images(cfg: DictConfig) -> Checked:
    return _of_file(Path(cfg.output).absolute() / "results" / "images.npy")


def marks_of(paths: Sequence[str]) -> np.ndarray:
    """Returns the marks of these files: uint64 [N]."""
    now = time.time_ns()
    return np.fromiter((_mark(path, now) for path in paths), dtype=np.uint64, count=len(paths))


@cache
def _of_file(file: Path) -> Checked:
    return Checked(file)


def _mark(path: str, now: int) -> int:
    try:
        status = os.stat(path)
    except OSError:
        return 0
    if now - status.st_mtime_ns < SETTLED:
        return 0
    text = f"{RULES}\0{os.path.abspath(path)}\0{status.st_size}\0{status.st_mtime_ns}"
    return int.from_bytes(hashlib.blake2b(os.fsencode(text), digest_size=8).digest(), "little")


def _read(file: Path) -> np.ndarray:
    with suppress(OSError, ValueError, EOFError):
        marks = np.load(file)
        if marks.dtype == np.uint64 and marks.ndim == 1:
            return marks
    return np.empty(0, np.uint64)
