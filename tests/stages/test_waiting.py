import subprocess
import sys
from pathlib import Path

import pytest

from conf.errors import BadInput
from stages import waiting
from stages.locks import locked
from stages.waiting import clock, turns

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def passed(monkeypatch):
    """What the clock shows, in seconds."""
    shown = [0.0]
    monkeypatch.setattr(waiting, "monotonic", lambda: shown[0])
    return shown


def waited(passed, minutes, until):
    """The moments at which a line was said, of somebody who gets what he waits for after `until` seconds."""
    moments = []
    for seconds in turns(lambda: "another run", minutes):
        moments.append(passed[0])
        passed[0] += seconds
        if passed[0] >= until:
            return moments
    raise AssertionError


def test_there_is_a_line_a_minute_and_later_one_every_ten(passed, capsys):
    assert waited(passed, None, 3000) == [*range(0, 600, 60), 600, 1200, 1800, 2400]
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == [
        "waiting for another run; Ctrl-C stops waiting",
        "waiting for another run, for 1:00 so far; Ctrl-C stops waiting",
    ]
    assert "for 40:00 so far" in lines[-1]


def test_it_is_given_up_when_the_minutes_are_over(passed):
    with pytest.raises(BadInput, match=r"^waited 2:30 for another run, and wait=2.5 allows no longer: "):
        waited(passed, 2.5, 151)
    assert passed == [150]


def test_without_a_minute_to_wait_nothing_is_said(capsys):
    with pytest.raises(BadInput, match=r"^waited 0:00 for another run, and wait=0 allows"):
        next(turns(lambda: "another run", 0))
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00"), (7.4, "0:07"), (59.6, "1:00"), (725, "12:05"), (3723, "1:02:03")]
)
def test_a_clock(seconds, text):
    assert clock(seconds) == text


@pytest.fixture
def other(tmp_path):
    """Another process that holds the lock on tmp_path/result until it is told to end."""
    code = (
        f"from pathlib import Path\nfrom stages.locks import locked\nwith locked(Path({str(tmp_path)!r}, 'result')):\n"
    )
    code += "    print(flush=True)\n    input()"
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        process.stdout.readline()
        yield process
        if process.poll() is None:
            process.communicate("\n")


def test_who_holds_a_lock_is_named(tmp_path, other, capsys):
    with pytest.raises(BadInput) as refused, locked(tmp_path / "result", minutes=0.01):
        pass
    who = f"another run that works in {tmp_path}/result (process {other.pid} on "
    assert capsys.readouterr().out.startswith(f"waiting for {who}")
    assert str(refused.value).startswith(f"waited 0:01 for {who}")
    assert "\n" not in str(refused.value)


def test_a_lock_that_comes_free_is_got(tmp_path, other, capsys, monkeypatch):
    monkeypatch.setattr(waiting, "MINUTE", 0.1)
    told = []

    def what():
        if len(told) == 2:
            other.communicate("\n")
        told.append(1)
        return "another run"

    monkeypatch.setattr("stages.locks.turns", lambda _, minutes: turns(what, minutes))
    with locked(tmp_path / "result") as got:
        assert got
    assert len(told) == 3
    assert capsys.readouterr().out.count("waiting for another run") == 3
