"""The list at the end of a sweep, its exit code, and which runs are summarised."""

import json
import os
import re
import socket
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace

import pytest

from conf.errors import BadInput
from stages import sweep
from stages.ending import whole
from stages.job import RECORD, Ended, all_ended, bug
from stages.sweep import SUMMARY, exit_code, listed, summarised

DONE = Ended("[1/3] seed=0", "a", analysed=True)
REFUSED = Ended("[2/3] seed=-1", None, analysed=False, code=2, why="seed=-1 is not allowed")
BUG = Ended("[3/3] seed=1", "c", analysed=False, code=1, why="ZeroDivisionError: x (net.py, line 3)")


def test_every_failure_is_listed_with_its_folder_if_it_has_one(tmp_path):
    assert listed([DONE, DONE], "done") == "2 done"
    begun = Ended("[3/3] seed=1", str(tmp_path), analysed=False, code=1, why="y")
    assert listed([DONE, REFUSED, BUG, begun], "done").splitlines() == [
        "1 done, 3 failed",
        "  [2/3] seed=-1: seed=-1 is not allowed",
        "  [3/3] seed=1: ZeroDivisionError: x (net.py, line 3)",
        f"  [3/3] seed=1: y; its folder: {tmp_path}",
    ]


@pytest.mark.parametrize(
    ("ended", "code"), [([DONE], 0), ([DONE, REFUSED, REFUSED], 2), ([BUG, DONE], 1), ([REFUSED, BUG], 1)]
)
def test_exit_code_2_if_nothing_but_refusals_failed(ended, code):
    assert exit_code(ended) == code


def test_a_run_that_left_no_record_has_failed(tmp_path):
    """Such as one whose process was killed, or whose folder somebody has cleared."""
    for number, ended in ((0, DONE), (2, BUG)):
        (tmp_path / RECORD.format(number)).write_text(json.dumps(asdict(ended)))
    found = list(all_ended(tmp_path, 3))
    assert found == [DONE, Ended("[2/3]", None, False, 1, f"it left no record in {tmp_path}"), BUG]
    assert list(all_ended(tmp_path, None)) == [DONE, BUG], "of how many is not known"


def test_a_killed_sweep_leaves_its_folder_until_the_next_one(tmp_path, monkeypatch):
    """Which removes no folder of a sweep that runs, here or on another machine."""
    dead = subprocess.Popen(["true"])
    dead.wait()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    here, end = socket.gethostname(), ExitStack()
    monkeypatch.setattr(sweep, "until_the_end", end)
    left = [f"sweep-{here}-{dead.pid}-x", f"sweep-{here}-{os.getpid()}-x", f"sweep-elsewhere-{dead.pid}-x", "sweep-x"]
    for name in left:
        (tmp_path / name).mkdir()
    folder = Path(sweep._scrap())
    assert {path.name for path in tmp_path.iterdir()} == {*left[1:], folder.name}
    end.close()
    assert {path.name for path in tmp_path.iterdir()} == set(left[1:])
    sweep.unfinished.discard(folder)


def test_the_log_of_a_failed_run_is_named(tmp_path):
    log = tmp_path / "7_1_0_log.out"
    lost = Ended("[2/3] seed=1", None, analysed=False, code=1, why="its job 7_1 was ended", log=str(log))
    assert listed([lost], "done").endswith("seed=1: its job 7_1 was ended")
    log.touch()
    assert listed([lost], "done").endswith(f"seed=1: its job 7_1 was ended; its log: {log}")


class Unspeakable(Exception):
    def __str__(self):
        raise ValueError("not even this")


@pytest.mark.parametrize(
    ("error", "words"),
    [(Unspeakable(), "Unspeakable: its message can't be shown"), (ValueError("bad \udcff"), "ValueError: bad \\udcff")],
)
def test_whatever_a_users_error_says_it_is_written_down(tmp_path, error, words):
    with pytest.raises(type(error)) as raised:
        raise error
    why = bug(raised.value, str(tmp_path))
    assert why.startswith(words)
    assert why.endswith(f"its traceback is in {tmp_path / 'traceback.txt'}")
    assert "test_sweep.py" in (tmp_path / "traceback.txt").read_text()


@pytest.mark.parametrize(("left", "how"), [(SystemExit(0), "sys.exit(0)"), (KeyboardInterrupt(), "KeyboardInterrupt")])
def test_a_study_that_is_left_in_the_middle_has_failed(left, how):
    @whole()
    def study():
        raise left

    with pytest.raises(RuntimeError, match=rf"left in the middle by {re.escape(how)}"):
        study()


@pytest.fixture
def summaries(monkeypatch):
    """What was to be summarised; a list put in first is what is raised."""
    asked = []

    def summarise(runs):
        asked.append(runs)
        if isinstance(asked[0], Exception):
            raise asked[0]

    monkeypatch.setitem(sys.modules, SUMMARY, SimpleNamespace(summarise=summarise))
    return asked


def test_runs_with_tables_are_summarised_once_each_in_their_order(summaries):
    ended = [Ended("", folder, analysed) for folder, analysed in (("b", True), ("c", False), ("a", True), ("b", True))]
    assert summarised(ended) == 0
    assert summaries == [[Path("b"), Path("a")]]


def test_one_run_is_no_set(summaries):
    assert summarised([DONE, DONE, BUG]) == 0
    assert summaries == []


@pytest.mark.parametrize(
    ("error", "words"),
    [(BadInput("other tables"), "other tables"), (KeyError("x"), "KeyError: 'x' (HYDRA_FULL_ERROR=1 shows where)")],
)
def test_a_summary_that_fails_is_said_in_one_line(summaries, capsys, error, words):
    summaries.append(error)
    assert summarised([DONE, Ended("", "b", analysed=True)]) == 1
    assert capsys.readouterr().err == f"no summary of the sweep: {words}\n"
