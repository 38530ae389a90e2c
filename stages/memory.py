"""Refuses settings that would not fit into this machine's memory, before any work begins."""

import os
from pathlib import Path

from conf.errors import BadInput
from stages.need import gigabytes

LIMIT = Path("/sys/fs/cgroup/memory.max")  # the limit of a container


def memory() -> int:
    """Returns the most bytes that this process may have."""
    limit = LIMIT.read_text().strip() if LIMIT.exists() else "max"
    there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min(there, int(limit)) if limit.isdecimal() else there


def check_memory(wanted: int, setting: str, instead: str) -> None:
    """Raises BadInput if memory is too small. wanted: bytes at one time; setting: such as finetune.batch_size=32."""
    if wanted > memory():
        raise BadInput(
            f"{setting} is not allowed: it needs {gigabytes(wanted)} of memory, and this machine has "
            f"{gigabytes(memory())}; {instead}"
        )
