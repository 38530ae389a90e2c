"""Lets only one process at a time work on a result; others wait, and say so. Before it renames or removes anything in a
folder that it holds, a process asks whether it still does (`check_owner`; stages/lease.py says when it does not)."""

import atexit
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from stages import signals
from stages.holder import has_ended
from stages.lease import Lease, look, place_of
from stages.signals import doing
from stages.waiting import turns

SOON, PAUSE = 0.02, 1.0  # seconds between two looks at what another process holds: at first, and later

_held: dict[Lease, set[str]] = {}  # by this process -> the folders that it protects


@contextmanager
def locked(folder: Path, wait: bool = True, minutes: float | None = None, guards: Path | None = None) -> Iterator[bool]:
    """Locks `folder`. The value is whether this succeeded; without `wait` it is False if another process, or thread,
    holds the lock.

    minutes: the longest time to wait, None for no limit; guards: a further folder, in which only the holder writes.
    Raises BadInput when the time is over, and TakenOver in place of any error that comes up after the lock was lost.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    lease, places = Lease(folder), {_real(folder), _real(guards or folder)}
    if not lease.take():
        if not wait:
            yield False
            return
        _check_other(lease)
        with doing("while it waited for another run"):
            for seconds in turns(lambda: f"another run that works in {folder}{_holder(folder)}", minutes):
                if _taken(lease, seconds):
                    break
    _held[lease] = places
    try:
        yield True
    except Exception:
        _check(lease)  # files that were taken away may have led to it
        raise
    finally:
        _held.pop(lease, None)
        lease.release()


def check_held(folder: Path) -> None:
    """Raises RuntimeError if this process does not hold the lock on `folder`, and TakenOver if it no longer does."""
    place = _real(folder)
    if not any(place in places for places in list(_held.values())):
        raise RuntimeError(f"{folder} is written to without its lock")
    check_owner(folder)


def check_owner(path: Path) -> None:
    """Raises TakenOver if `path` lies in a folder that this process had locked, and another one has taken over."""
    if _held:
        place = _real(path)
        for lease, places in list(_held.items()):
            if any(place == folder or place.startswith(folder + os.sep) for folder in places):
                lease.check()


def is_held(folder: Path) -> bool:
    """Tells whether a process seems to work in `folder`. Changes nothing on the disk."""
    seen = look(place_of(folder))
    return not (seen.released or has_ended(seen.holder) or seen.is_silent(time.time_ns()))


def forget(folder: Path) -> None:
    """Removes the lock that this process holds on `folder`, which it has deleted."""
    for lease in [lease for lease in _held if lease.folder == folder]:
        lease.remove()


def _taken(lease: Lease, seconds: float) -> bool:
    """Tries to take the lease for so long."""
    end, pause = time.monotonic() + seconds, SOON
    while not lease.take():
        left = end - time.monotonic()
        if left <= 0:
            return False
        time.sleep(min(pause, left))
        pause = min(1.5 * pause, PAUSE)
    return True


def _check_other(lease: Lease) -> None:
    """Raises RuntimeError if this very thread would wait for itself."""
    if any((held.place, held.maker) == (lease.place, lease.maker) for held in list(_held)):
        raise RuntimeError(f"{lease.folder} is already locked by what locks it again")


def _check(lease: Lease) -> None:
    with suppress(OSError):
        lease.check()


def _real(path: Path) -> str:
    """Returns the path without links in it; it may be a link itself."""
    return os.path.join(os.path.realpath(path.parent), path.name)


def _holder(folder: Path) -> str:
    """Returns " (process 4711 on node3 since 2026-11-21 20:04:17)", or "" if the holder is not known."""
    with suppress(OSError):
        if (seen := look(place_of(folder))).holder and not seen.released:
            return " (process {pid} on {host} since {since})".format(**seen.holder)
    return ""


def _give_back() -> None:
    """Others need not wait for the signs of life of a process that ends."""
    for lease in list(_held):
        lease.release()


atexit.register(_give_back)
signals.last_acts.append(_give_back)
