"""Who holds a lease (stages/lease.py): a process, as others see it, on this machine or on another one."""

import os
import socket
from functools import cache
from pathlib import Path


def this_process() -> dict:
    """Returns what tells this process from any other. started, machine: a number of a process may be used again."""
    pid = os.getpid()
    return {"pid": pid, "host": socket.gethostname(), "machine": machine(), "started": _started(pid)}


@cache
def machine() -> str | None:
    """Returns what tells this machine, since it was started, and the numbering of its processes from any other; None
    if the system does not say."""
    try:
        return f"{Path('/proc/sys/kernel/random/boot_id').read_text().strip()} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return None


def is_here(who: dict) -> bool:
    """Tells whether it is a process of this machine; False also if that is not known."""
    return who.get("machine") is not None and (who["machine"], who["host"]) == (machine(), socket.gethostname())


def has_ended(who: dict) -> bool:
    """Tells whether it is a process of this machine that has ended."""
    return is_here(who) and not _runs(who["pid"], who["started"])


def _runs(pid: int, started: str | None) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # of another user, and /proc may not show it
        return True
    return _started(pid) == started


def _started(pid: int) -> str | None:
    """Returns when a process was started, in ticks of its machine; None if it has ended, but was not yet waited for."""
    try:
        state, *fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        has_ended = state in "ZX" and len(os.listdir(f"/proc/{pid}/task")) == 1  # no thread still writes
    except OSError:
        return None
    return None if has_ended else fields[18]
