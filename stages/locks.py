"""Lets only one process at a time work on a result; others wait, and say so."""

import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import filelock

from stages.signals import doing
from stages.waiting import turns

SIGNED = "process "  # the beginning of what a lock's file holds

_held: set[Path] = set()  # by this process


@contextmanager
def locked(folder: Path, wait: bool = True, minutes: float | None = None) -> Iterator[bool]:
    """Locks `folder`. The value is whether this succeeded; without `wait` it is False if another process holds the
    lock.

    minutes: the longest time to wait, None for no limit. Raises BadInput when it is over.
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
    """Raises RuntimeError if this process does not hold the lock on `folder`."""
    if folder.absolute() not in _held:
        raise RuntimeError(f"{folder} is written to without its lock")


def _acquired(lock: filelock.BaseFileLock, seconds: float) -> bool:
    try:
        lock.acquire(timeout=seconds)
    except filelock.Timeout:
        return False
    return True


def _sign(folder: Path) -> None:
    """Writes into the lock's file who holds it, for those who wait to read. On a disk without locks of its own the
    file holds other content of filelock, and some disks can't be written to: neither is an error."""
    with suppress(OSError, ValueError):
        before = lock_file(folder).read_text()
        if not before or before.startswith(SIGNED):
            since = time.strftime("%Y-%m-%d %H:%M:%S")
            lock_file(folder).write_text(f"{SIGNED}{os.getpid()} on {socket.gethostname()} since {since}\n")


def _holder(folder: Path) -> str:
    """Returns " (process 4711 on node3 since 2026-11-21 20:04:17)", or "" if the holder is not known."""
    with suppress(OSError, ValueError):
        signed = lock_file(folder).read_text().strip()
        if signed.startswith(SIGNED):
            return f" ({signed})"
    return ""
