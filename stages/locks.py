"""Only one process at a time works on a result; others wait, and say so."""

import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import filelock

from stages.signals import doing
from stages.waiting import turns

SIGNED = "process "  # what is in a lock's file begins so

_held: set[Path] = set()  # by this process


@contextmanager
def locked(folder: Path, wait: bool = True, minutes: float | None = None) -> Iterator[bool]:
    """Whether the lock on `folder` was got, which another process may hold if not `wait`.

    minutes: to wait at most; None: without end. Raises BadInput when they are over.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    lock, place = filelock.FileLock(lock_file(folder)), folder.absolute()
    if not _acquired(lock, 0):
        if not wait:
            yield False
            return
        with doing("while it waited for another run"):
            for seconds in turns(lambda: f"another run that works in {folder}{_holder(folder)}", minutes):
                if _acquired(lock, seconds):
                    break
    try:
        _held.add(place)
        _sign(folder)
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


def _acquired(lock: filelock.BaseFileLock, seconds: float) -> bool:
    try:
        lock.acquire(timeout=seconds)
    except filelock.Timeout:
        return False
    return True


def _sign(folder: Path) -> None:
    """Leaves in the lock's file who holds it: for those who wait to read. A disk without locks of its own has something
    else of filelock's in it, and on one that can't be written to nothing can be said: neither is an error."""
    with suppress(OSError, ValueError):
        before = lock_file(folder).read_text()
        if not before or before.startswith(SIGNED):
            since = time.strftime("%Y-%m-%d %H:%M:%S")
            lock_file(folder).write_text(f"{SIGNED}{os.getpid()} on {socket.gethostname()} since {since}\n")


def _holder(folder: Path) -> str:
    """ " (process 4711 on node3 since 2026-11-21 20:04:17)"; "" if that is not known."""
    with suppress(OSError, ValueError):
        signed = lock_file(folder).read_text().strip()
        if signed.startswith(SIGNED):
            return f" ({signed})"
    return ""
