"""Only one process at a time works on a result; others wait, and say so."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock

from stages.signals import doing

_held: set[Path] = set()  # by this process


@contextmanager
def locked(folder: Path, wait: bool = True) -> Iterator[bool]:
    """Whether the lock on `folder` was got, which without `wait` somebody else may hold."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    lock, place = filelock.FileLock(lock_file(folder)), folder.absolute()
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        if not wait:
            yield False
            return
        print(f"waiting: another run works in {folder}", flush=True)
        with doing("while it waited for another run"):
            lock.acquire()
    _held.add(place)
    try:
        yield True
    finally:
        _held.discard(place)
        lock.release()


def lock_file(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.lock")


def check_held(folder: Path) -> None:
    """Raises RuntimeError if this process has no right to write there."""
    if folder.absolute() not in _held:
        raise RuntimeError(f"{folder} is written to without its lock")


def is_first_process() -> bool:
    """Lightning starts one more process for each further device: they compute, and this one alone writes."""
    return int(os.environ.get("LOCAL_RANK", 0)) == 0 and int(os.environ.get("NODE_RANK", 0)) == 0
