import sys

import pytest

from stages import progress
from stages.progress import Bar


class Clock:
    """A monotonic clock that goes on when it is told to."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(progress, "monotonic", clock)
    return clock


def worked(bar, clock, seconds, steps):
    """So many steps of so many seconds each; the bar is looked at after each."""
    for _ in range(steps):
        clock.now += seconds
        bar.update()
        bar.refresh()
    return bar


def test_without_a_terminal_a_milestone_is_a_line(clock, capsys):
    bar = Bar(total=40, desc="finetune", unit="batch")
    for epoch in (1, 2):
        worked(bar, clock, 1, 20).milestone(f"epoch {epoch}/2, test accuracy 0.812")
    bar.close()
    assert capsys.readouterr().err.splitlines() == [
        "finetune: epoch 1/2, test accuracy 0.812, 0:20 left",
        "finetune: epoch 2/2, test accuracy 0.812, took 0:40",
    ]


def test_other_work_has_a_line_a_minute(clock, capsys):
    """Not before one has passed; the time left is what the rest takes at the pace so far, without what was there."""
    bar = Bar(total=400, initial=200, desc="interactions/finetune", unit="sample")
    bar.set_postfix_str("epoch 4")
    worked(bar, clock, 1, 200).close()
    lines = capsys.readouterr().err.splitlines()
    assert [line.removeprefix("interactions/finetune: sample ") for line in lines] == [
        "260 of 400, epoch 4, 2:20 left",
        "320 of 400, epoch 4, 1:20 left",
        "380 of 400, epoch 4, 0:20 left",
        "400 of 400, epoch 4, took 3:20",
    ]


@pytest.mark.parametrize(("seconds", "lines"), [(59, 0), (61, 1)])
def test_short_work_says_nothing_and_long_work_at_least_its_end(clock, capsys, seconds, lines):
    bar = Bar(range(2), desc="tables", leave=False)
    for _ in bar:
        clock.now += seconds / 2
    assert len(capsys.readouterr().err.splitlines()) == lines


def test_what_ends_before_its_end_says_so(clock, capsys):
    worked(Bar(total=9, desc="tables"), clock, 30, 3).close()
    assert capsys.readouterr().err.splitlines() == [
        "tables: 2 of 9, 3:30 left",
        "tables: 3 of 9, stopped after 1:30",
    ]


def test_what_an_error_throws_away_has_no_more_to_say(clock, capsys):
    bar = worked(Bar(total=9, desc="finetune"), clock, 100, 1)
    bar.update()
    del bar
    assert capsys.readouterr().err == "finetune: 1 of 9, 13:20 left\n"


def test_bytes_are_counted_as_people_count_them(clock, capsys):
    bar = Bar(total=3 * 10**9, desc="pack", unit="B", unit_scale=True)
    clock.now += 60
    bar.update(10**9)
    bar.refresh()
    assert capsys.readouterr().err == "pack: 1.0 GB of 3.0 GB, 2:00 left\n"
    bar.close()


def test_other_lines_and_those_of_bars_do_not_mix(clock, capsys):
    bar = Bar(total=2, desc="finetune")
    Bar.write("weights are left out")
    bar.milestone("epoch 1/1")
    bar.close()
    out, err = capsys.readouterr()
    assert out == "weights are left out\n"
    assert "\r" not in err
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize("variable", ["LOCAL_RANK", "NODE_RANK"])
def test_further_processes_of_a_training_show_nothing(clock, capsys, monkeypatch, variable):
    monkeypatch.setenv(variable, "1")
    bar = Bar(total=2, desc="finetune")
    worked(bar, clock, 100, 2).milestone("epoch 1/1")
    bar.close()
    assert capsys.readouterr().err == ""


def test_a_process_that_is_told_to_is_silent(clock, capsys, monkeypatch):
    monkeypatch.setattr(progress, "_silent", False)
    progress.silence()
    worked(Bar(total=2, desc="decoding"), clock, 100, 2).close()
    assert capsys.readouterr().err == ""


def test_on_a_terminal_a_bar_is_a_bar(capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "80")
    bar = Bar(total=2, desc="finetune")
    bar.update()
    bar.milestone("epoch 1/2")
    bar.close()
    drawn = capsys.readouterr().err
    assert drawn.count("\r") >= 2
    assert "finetune:  50%" in drawn
    assert "epoch 1/2" in drawn
