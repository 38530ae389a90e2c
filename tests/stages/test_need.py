"""What a study takes, in numbers that add up."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from conf.errors import BadInput
from stages.need import EPOCH, STEP, WRITTEN, Need, Rates, check_disk, gigabytes
from stages.plan import as_table
from stages.span import NO_TIME, Span


def test_what_training_needs():
    options = SimpleNamespace(batch_size=20, optimizer="adamw")
    need = Need.of_training(options, weights=1000, train=50, test=20, kept=4, task="source", passes=3)
    time = STEP * 9 + EPOCH * 3 + WRITTEN * (4 * 1000 + 3 * 3000)
    assert need == Need(
        forward=80, trained=150, loaded=230, disk=10 * 1000 + 8 * 80, task="source", besides=need.besides
    )
    assert need.besides == time


@pytest.mark.parametrize(("optimizer", "with_state"), [("adam", 3000), ("sgd", 2000)])
def test_a_training_that_ends_within_an_epoch_needs_what_it_has_had_of_it(optimizer: str, with_state: int):
    options = SimpleNamespace(batch_size=20, optimizer=optimizer)
    need = Need.of_training(options, weights=1000, train=60, test=20, kept=2, task="target", passes=4 / 3)
    assert (need.forward, need.trained, need.disk) == (60, 80, 2 * 1000 + 2 * with_state + 8 * 60)
    assert need.besides == STEP * 4 + EPOCH * 2 + WRITTEN * (2 * 1000 + 2 * with_state)


def test_what_is_there_already_needs_no_more_disk(tmp_path: Path, monkeypatch, capsys):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=3_000_000))
    with pytest.raises(BadInput, match=r"no space left on .*: 5\.0 MB needed, 3\.0 MB free"):
        check_disk(5_000_000, tmp_path / "new")
    check_disk(3_000_000, tmp_path / "new")
    assert capsys.readouterr().out.splitlines()[-1] == (
        f"disk: at most 3.0 MB will be used in {tmp_path / 'new'}, 3.0 MB are free"
    )
    assert list(tmp_path.iterdir()) == []


def test_every_kind_of_work_has_its_rate():
    rates = Rates(forward=Span(1, 2), trained=Span(10, 20), masked=Span(100, 200), loaded=Span(1000, 2000))
    need = Need(forward=1, trained=2, masked=3, loaded=4, besides=Span(0.5, 0.75))
    assert rates.seconds(need) == Span(4321.5, 8642.75)
    assert Rates().seconds(Need(forward=5)) == NO_TIME


def test_units():
    assert [gigabytes(count) for count in (2e6, 1.5e8, 3.26e10)] == ["2.0 MB", "0.1 GB", "32.6 GB"]


def test_a_table_adds_up_and_says_nothing_of_what_is_complete():
    rows = [("a", "to do", Need(1, 2, 3, disk=4_000_000), Span(60, 300)), ("b", "begun", Need(1000), Span(60, 120)),
            ("c", "complete", Need(), NO_TIME)]  # fmt: skip
    lines = as_table(rows).splitlines()
    assert lines[1].split() == ["a", "to", "do", "4", "2", "4.0", "MB", "1", "to", "5", "min"]
    assert lines[3].split() == ["c", "complete"]
    assert lines[4].split() == ["together", "1,004", "2", "4.0", "MB", "2", "to", "7", "min"]
    assert len({len(line) for line in lines if "complete" not in line}) == 1, "columns stand below each other"
