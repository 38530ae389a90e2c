"""What does not fit in memory is refused."""

import os

import pytest

from conf.errors import BadInput
from stages import memory


def test_what_does_not_fit_is_refused_with_both_numbers(monkeypatch):
    monkeypatch.setattr(memory, "memory", lambda: 8 * 10**9)
    memory.check_memory(8 * 10**9, "finetune.batch_size=32", "choose a smaller batch")
    line = (
        r"^finetune\.batch_size=32 is not allowed: it needs 9\.0 GB of memory, and this machine has 8\.0 GB; choose a "
        r"smaller batch$"
    )
    with pytest.raises(BadInput, match=line):
        memory.check_memory(9 * 10**9, "finetune.batch_size=32", "choose a smaller batch")


def test_a_container_may_have_less_than_the_machine(monkeypatch, tmp_path):
    there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    monkeypatch.setattr(memory, "LIMIT", tmp_path / "memory.max")
    assert memory.memory() == there
    for content, expected in (("max\n", there), ("1000000\n", 1_000_000), (f"{10 * there}\n", there)):
        (tmp_path / "memory.max").write_text(content)
        assert memory.memory() == expected
