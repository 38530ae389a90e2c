"""Refuses, before any work, what would not fit into this machine's memory."""

import os
from pathlib import Path

from conf.errors import BadInput
from stages.need import gigabytes

LIMIT = Path("/sys/fs/cgroup/memory.max")  # of a container


def memory() -> int:
    """Bytes that this process may have at most."""
    limit = LIMIT.read_text().strip() if LIMIT.exists() else "max"
    there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min(there, int(limit)) if limit.isdecimal() else there


def check_memory(wanted: int, setting: str, instead: str) -> None:
    """wanted: bytes at one time; setting: such as finetune.batch_size=32. Raises BadInput if there are not as many."""
    if wanted > memory():
        raise BadInput(
            f"{setting} is not allowed: it needs {gigabytes(wanted)} of memory, and this machine has "
            f"{gigabytes(memory())}; {instead}"
        )
