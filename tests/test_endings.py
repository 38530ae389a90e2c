"""SIGTERM, Ctrl-C and a full disk end the program in one line, with nothing left over, whatever it is doing and however
many processes take part; a process that is killed ends the others. The same command then goes on, to the same files.

A study is interrupted again and again, at one moment after the other, and then runs to its end.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from studies import ROOT, Finished, Result, Running, Studies, arguments, files, remove

ENDS = {signal.SIGTERM: (143, "SIGTERM"), signal.SIGINT: (130, "Ctrl-C"), signal.SIGUSR1: (138, "SIGUSR1")}
TERM, INT, KILL, USR1 = signal.SIGTERM, signal.SIGINT, signal.SIGKILL, signal.SIGUSR1


def interrupted(running: Running, moment: Callable[[Running], object], number: int, whom: str = "first") -> Result:
    """whom: the first process alone, as a scheduler does, all, as a terminal does, or another one than the first."""
    deadline = time.monotonic() + 60
    while not moment(running):
        assert not running.ended(0.002), (running.log / "err").read_text()
        assert time.monotonic() < deadline, "the moment has not come"
    first = running.process.pid
    if whom == "other":
        os.kill(next(iter(_computing(running))), number)
    else:
        (os.killpg if whom == "all" else os.kill)(first, number)
    result = running.wait(30)
    deadline = time.monotonic() + 10
    while running.processes():
        assert time.monotonic() < deadline, f"left over: {running.processes()}"
        time.sleep(0.05)
    assert "Traceback" not in result.err
    assert "Warning" not in (running.log / "err").read_text()
    return result


def _computing(running: Running) -> list[int]:
    """The processes that compute with the first."""
    return [
        pid
        for pid, command in running.processes().items()
        if pid != running.process.pid and ("run.py" in command or "spawn_main" in command)
    ]


def says(text: str) -> Callable[[Running], bool]:
    return lambda running: running.says(text)


def there(pattern: str, output: Path) -> Callable[[Running], bool]:
    """A file that is written when the work in question begins."""
    return lambda _: any(output.glob(pattern))


def check_said(result: Result, number: int, where: str) -> None:
    code, name = ENDS[number]
    assert result.code == code, result.err
    line = f"interrupted by {name} {where}: run the same command to go on"
    assert result.err.splitlines()[-1] == line
    assert result.err.count("interrupted") == 1


def no_leftovers(output: Path) -> bool:
    return not [name for name in files(output) if name.endswith(".tmp")]


# In order: the file that is there when the moment has come, the signal, to whom, where the program is then, more
# arguments.
MOMENTS = [
    ("results/pretrain/*/config.yaml", TERM, "first", "in pretrain", []),
    ("results/pretrain/*/checkpoints/epoch_001.pt", INT, "all", "in pretrain", ["num_workers=1"]),
    ("results/probe/*/config.yaml", INT, "first", "in probe", []),
    ("results/finetune/*/config.yaml", TERM, "all", "in finetune", ["num_workers=1"]),
    ("results/interactions/finetune/*/config.yaml", USR1, "first", "in interactions/finetune", []),
    ("digits/seed=0/analysis/figures/*.png", INT, "first", "in analysis", []),
    ("digits/seed=0/analysis/gallery/*.png", TERM, "all", "in analysis", []),
]


def test_a_study_that_is_interrupted_again_and_again(study: Studies, finished: Finished) -> None:
    for file, number, whom, where, more in MOMENTS:
        result = interrupted(study.start(*more), there(file, study.output), number, whom)
        check_said(result, number, where)
        assert no_leftovers(study.output)
    result = study()
    assert result.code == 0, result.err
    assert files(study.output) == files(finished.output)
    for name in files(finished.output):
        if name.endswith((".csv", ".npy")):
            assert (study.output / name).read_bytes() == (finished.output / name).read_bytes(), name


@pytest.mark.parametrize("number", [TERM, INT])
def test_a_sweep_ends_as_a_whole(study: Studies, number: int) -> None:
    begun = there("results/pretrain/*/config.yaml", study.output)
    result = interrupted(study.start("-m", "seed=0,1", "stages=[pretrain]"), begun, number)
    check_said(result, number, "in pretrain")
    assert [path.name for path in (study.output / "results" / "pretrain").glob("[!.]*")] == [
        "conv4-glyphs-seed=0-f2dc1dcec172"
    ]


def test_while_it_waits_for_another_run(study: Studies) -> None:
    other = study.start("stages=[pretrain]")
    while not list(study.output.rglob("config.yaml")):
        time.sleep(0.005)
    os.kill(other.process.pid, signal.SIGSTOP)
    try:
        result = interrupted(study.start("stages=[pretrain]"), says("waiting for another run"), TERM)
    finally:
        other.process.kill()
    check_said(result, TERM, "while it waited for another run")


@pytest.mark.parametrize("number", [TERM, INT])
def test_while_it_is_imported(tmp_path: Path, number: int) -> None:
    command = [sys.executable, "-X", "importtime", "run.py", *arguments(f"output={tmp_path}/outputs")]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as run:
        for line in run.stderr:
            if line.rstrip().endswith("omegaconf"):
                break
        run.send_signal(number)
        said = [line for line in run.stderr if not line.startswith("import time:")]
    code, name = ENDS[number]
    assert (run.returncode, said) == (code, [f"interrupted by {name} before any work: run the same command to go on\n"])


def test_processes_of_interactions(resumable: Studies, finished: Finished) -> None:
    """The values of one model, by two processes that are interrupted while they begin and while they compute."""
    (values,) = (path for path in finished.output.glob("results/interactions/finetune/*/epoch_002/values.npy"))
    remove(resumable.output / "digits" / "seed=0" / "interactions", "finetune")
    options = ("stages=[interactions]", "interactions.processes=2")

    def begun(running: Running) -> bool:
        return len(_computing(running)) == 2

    def computing(_: Running) -> list[Path]:
        return list(resumable.output.rglob("part_*.npz"))

    for moment, number, whom in ((begun, TERM, "first"), (begun, INT, "all"), (begun, KILL, "other")):
        result = interrupted(resumable.start(*options), moment, number, whom)
        if number == KILL:
            assert result.code == 1
            line = "a process of interactions was killed by SIGKILL: run the same command to go on"
            assert result.err.splitlines()[-1] == line
        else:
            check_said(result, number, "in interactions/finetune")
        assert no_leftovers(resumable.output)
    assert interrupted(resumable.start(*options), computing, KILL).code == -KILL
    result = resumable("stages=[interactions]")
    assert result.code == 0, result.err
    again = resumable.output / values.relative_to(finished.output)
    assert again.read_bytes() == values.read_bytes()
    assert no_leftovers(resumable.output)


def test_processes_of_a_training(study: Studies, tmp_path: Path) -> None:
    """Of two devices: interrupted while the second begins, and while they train, in every way."""
    options = ("trainer.devices=2", "stages=[pretrain]", "pretrain.epochs=8")
    whole = Studies(tmp_path / "whole", tmp_path / "other scrap").start(*options)

    def begun(running: Running) -> list[int]:
        return _computing(running)

    check_said(interrupted(study.start(*options), begun, INT, "all"), INT, "in pretrain")
    result = interrupted(study.start(*options), says("epoch 1/8"), KILL, "other")
    assert result.code == 1
    line = "a further process of the training was killed by SIGKILL: run the same command to go on"
    assert result.err.splitlines()[-1] == line
    check_said(interrupted(study.start(*options), says("epoch 3/8"), TERM), TERM, "in pretrain")
    assert no_leftovers(study.output)
    assert interrupted(study.start(*options), says("epoch 5/8"), KILL).code == -KILL
    for result in (study(*options), whole.wait()):
        assert result.code == 0, result.err
    assert files(study.output) == files(tmp_path / "whole")
    for name in files(tmp_path / "whole"):
        if name.endswith(".pt"):
            one, other = (torch.load(output / name) for output in (study.output, tmp_path / "whole"))
            assert all(torch.equal(one[key], other[key]) for key in one | other), name
        elif name.endswith((".csv", ".npy")):
            assert (study.output / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name


@pytest.fixture
def small_disk(tmp_path: Path) -> Path:
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=40m", "tmpfs", folder]
    if not shutil.which("mount") or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("wants the right to mount a small disk")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def test_a_disk_that_is_full(small_disk: Path, finished: Finished, tmp_path: Path) -> None:
    """From now and then in mid-run; with space again, the same command goes on to the same results."""
    study, hog = Studies(small_disk / "outputs", tmp_path / "scrap"), small_disk / "hog"
    begun = ("pretrain", "finetune", "interactions/probe")
    for file in (*(f"results/{name}/*/config.yaml" for name in begun), "digits/seed=0/analysis/figures/*.png"):
        running = study.start()
        while not any(study.output.glob(file)) and not running.ended(0.002):
            pass
        _fill(hog)
        result = running.wait()
        assert result.code == 2, result.err
        assert "Traceback" not in result.err
        last = result.err.splitlines()[-1]
        assert last.startswith(f"no space left on {study.output}: ")
        assert last.endswith(" MB needed, 0.0 MB free; run the same command again when there is space")
        assert no_leftovers(study.output)
        hog.unlink()
    result = study()
    assert result.code == 0, result.err
    for name in files(finished.output):
        if name.endswith((".csv", ".npy")):
            assert (study.output / name).read_bytes() == (finished.output / name).read_bytes(), name


def _fill(hog: Path) -> None:
    with hog.open("wb", buffering=0) as file:
        for size in (2**16, 2**10):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                continue
