"""One line for whatever is no bug; which exit code; a disk that is full, in whosever words."""

import errno
import multiprocessing
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hydra.errors import ConfigCompositionException

from conf.errors import BadInput
from stages import command, ending, signals
from stages.ending import ProcessLost, errors_in_one_line, gone
from stages.files import folder_beside, unfinished, written
from stages.space import is_no_space, no_space

FULL = OSError(errno.ENOSPC, "No space left on device", "/disk/file")


@pytest.fixture(autouse=True)
def _stays(monkeypatch):
    """The process that tests."""
    monkeypatch.setattr(signals, "leave", lambda _: None)


def ended(error: Exception, within=errors_in_one_line) -> int:
    with pytest.raises(SystemExit) as stop, within():
        raise error
    return stop.value.code


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (BadInput("seed=-1 is not allowed"), 2, "seed=-1 is not allowed"),
        (ProcessLost(gone("a process", -9)), 1, "a process was killed by SIGKILL: run the same command to go on"),
        (FULL, 2, "no space left on /disk: "),
        (RuntimeError("DataLoader worker (pid 12) is killed by signal: Killed. "), 1, "a process that loads data has"),
        (RuntimeError("DataLoader worker (pid(s) 12, 13) exited unexpectedly"), 1, "a process that loads data has"),
    ],
)
def test_what_is_no_bug_is_one_line(capsys, error, code, line):
    assert ended(error) == code
    (said,) = capsys.readouterr().err.splitlines()
    assert said.startswith(line)


def test_a_bug_is_shown_with_its_traceback(capsys):
    assert ended(ValueError("a bug")) == 1
    said = capsys.readouterr().err
    assert said.startswith("Traceback")
    assert said.endswith("ValueError: a bug\n")


def test_what_hydra_refuses_is_refused_where_it_composes_alone(capsys, monkeypatch):
    monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)
    assert ended(ConfigCompositionException("no such key"), ending.hydras_errors_in_one_line) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert ended(ConfigCompositionException("no such key")) == 1


def test_a_process_ends_whose_first_one_had_ended_before_it_could_ask():
    """As its environment says: the system would name another parent by then."""
    look = "import time; from stages import signals; signals.watch(first=False); time.sleep(20)"
    run = subprocess.run([sys.executable, "-c", look], env=os.environ | {signals.FIRST: str(2**22)}, timeout=15)
    assert run.returncode == 1


def test_tools_say_a_disks_errors_in_one_line_too(capsys):
    assert ended(PermissionError(errno.EACCES, "Permission denied", "/pack"), command.errors_in_one_line) == 2
    assert capsys.readouterr().err == "/pack: Permission denied\n"
    assert ended(FULL, command.errors_in_one_line) == 2
    assert "no space left on /disk" in capsys.readouterr().err


def chained(error: Exception) -> Exception:
    other = ValueError("something else")
    other.__cause__ = error
    return other


@pytest.mark.parametrize(
    "error",
    [
        FULL,
        OSError(errno.EDQUOT, "Disk quota exceeded"),
        OSError("160 requested and 40 written"),
        OSError("Caught OSError in DataLoader worker process 0.\nOSError: [Errno 28] No space left on device"),
        RuntimeError("[enforce fail at inline_container.cc:858] . PytorchStreamWriter failed writing file data/0"),
        chained(FULL),
        pickle.loads(pickle.dumps(FULL)),
    ],
)
def test_a_full_disk_is_known(error):
    assert is_no_space(error)


@pytest.mark.parametrize(
    "error", [OSError(errno.EACCES, "no"), RuntimeError("shapes"), ValueError("1 requested and 2")]
)
def test_other_errors_are_no_full_disk(error):
    assert not is_no_space(error)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="wants a disk that is always full")
@pytest.mark.parametrize("write", [np.save, lambda file, array: torch.save(torch.from_numpy(array), file)])
def test_a_file_that_is_not_written_is_named(tmp_path, write):
    """By what really writes, whatever it raises."""
    path = tmp_path / "values.npy"
    with pytest.raises(OSError, match="No space left") as full, written(path), open("/dev/full", "wb") as file:
        write(file, np.zeros(100_000))
    assert (full.value.errno, full.value.filename) == (errno.ENOSPC, str(path))
    assert list(tmp_path.iterdir()) == []


def test_what_is_needed_is_said_where_it_is_known(tmp_path, monkeypatch):
    monkeypatch.setattr("stages.space.free_disk", lambda folder: 2_000_000)
    line = f"no space left on {tmp_path}: 5.0 MB needed, 2.0 MB free; run the same command again when there is space"
    inside = OSError(errno.ENOSPC, "", str(tmp_path / "results" / "file"))
    assert str(no_space(inside, tmp_path, 5_000_000)) == line
    assert "MB needed" not in str(no_space(inside, tmp_path, 1_000_000))
    assert "MB needed" not in str(no_space(FULL, tmp_path, 5_000_000))


def test_what_is_being_written_is_known_meanwhile(tmp_path):
    with written(tmp_path / "file") as file, folder_beside(tmp_path / "folder") as folder:
        file.touch()
        assert unfinished == {file, folder}
    assert unfinished == set()


def test_signals_of_a_forked_process_are_its_own():
    """A pool ends its processes with SIGTERM: that is no signal to the one that they are forked from."""
    started = multiprocessing.get_context("spawn").Process(target=_forks_and_ends)
    started.start()
    started.join(30)
    assert started.exitcode == 0


def _forks_and_ends() -> None:
    import time

    from stages import signals

    signals.watch()
    child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(30,))
    child.start()
    child.terminate()
    child.join()
    time.sleep(0.5)


def test_errors_that_follow_from_a_signal_are_not_reported():
    """Lightning's handler talks to the other processes of a training, and raises an error if they have gone."""
    of_lightning = "raise RuntimeError('Connection closed by peer')"
    stubborn = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); time.sleep(9)"
    program = (
        "import os, signal, subprocess, sys, time\n"
        "from stages import signals\n"
        "from stages.ending import errors_in_one_line\n"
        f"def handler(*_): {of_lightning}\n"
        "signals.watch(); signal.signal(signal.SIGTERM, handler)\n"
        f"other = subprocess.Popen([sys.executable, '-c', {stubborn!r}], stdout=subprocess.PIPE)\n"
        "other.stdout.readline(); signals.started.append(other)\n"
        "with errors_in_one_line(): os.kill(os.getpid(), signal.SIGTERM); time.sleep(9)\n"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    line = "interrupted by SIGTERM before any work: run the same command to go on\n"
    assert (result.returncode, result.stderr) == (143, line)


def test_after_an_announced_end_errors_wait_for_it():
    """A scheduler has sent SIGTERM, and the process goes on: what fails meanwhile follows from that."""
    text = "from stages import signals; signals.end_is_coming(60); print('waits', flush=True); signals.let_it_end()"
    process = subprocess.Popen([sys.executable, "-c", text], stdout=subprocess.PIPE, cwd=Path(__file__).parents[2])
    assert process.stdout.readline() == b"waits\n"
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.5)
    process.kill()
    process.wait()
    signals.end_is_coming(0)
    signals.let_it_end()
