"""A study that is killed at any moment and started again ends as if nothing had happened.

Every change of a file goes through os.replace, so the states that a run leaves on disk can be enumerated: runs are
killed just before and just after chosen replacements, and from outside at random moments.
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import cycle
from pathlib import Path

import pytest
import torch
from studies import ROOT, STAGES, Finished, Running, Studies, arguments, contents, files

from stages.lease import LONG, look, place_of


@pytest.fixture(scope="module")
def interrupted(finished: Finished, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future]]:
    """Studies that were killed again and again, two at a time."""
    moments = _moments(finished.result.replaced)
    ways = {
        "at chosen moments": lambda study: _killed_at(study, zip(cycle(("before", "after")), moments, strict=False)),
        "at random": lambda study: _killed_at_random(study, len(finished.result.replaced)),
    }
    with ThreadPoolExecutor(2) as pool:
        folders = {way: tmp_path_factory.mktemp("interrupted") for way in ways}
        yield {way: pool.submit(ways[way], Studies(at / "outputs", at / "scrap")) for way, at in folders.items()}


@pytest.mark.parametrize("way", ["at chosen moments", "at random"])
def test_interrupted_is_uninterrupted(interrupted: dict[str, Future], finished: Finished, way: str) -> None:
    """Same tables, same weights, and no files beside the usual."""
    output = interrupted[way].result()
    assert _tables(output) == _tables(finished.output)
    weights, wanted = _weights(output), _weights(finished.output)
    assert weights.keys() == wanted.keys()
    assert [name for name in wanted if not _equal(weights[name], wanted[name])] == []
    assert files(output) - files(finished.output) == set(), "leftovers"
    assert files(finished.output) - files(output) == set(), "missing"


def _killed_at(study: Studies, moments: Iterable[tuple[str, str]]) -> Path:
    for side, name in moments:
        killed = study(kill_at=(side, name))
        assert killed.code == -signal.SIGKILL, f"{side} {name}: {killed.err}"
    return _ended(study)


def _killed_at_random(study: Studies, total: int) -> Path:
    """From outside, in the middle of whatever it does."""
    draw = random.Random(0)
    done = 0
    while done < total - 20:  # the drawing of figures at the end is the slow part; one kill in it will do
        running = study.start()
        step = draw.randint(5, 25)
        _wait_for(running, step)
        time.sleep(draw.uniform(0, 0.05))
        running.process.kill()
        assert running.wait().code == -signal.SIGKILL
        done += step
    return _ended(study)


def _ended(study: Studies) -> Path:
    result = study()
    assert result.code == 0, result.err
    return study.output


def test_killed_twice_at_the_same_moment(study: Studies, finished: Finished) -> None:
    """A run that dies again before it got any further (a queue's time limit) leaves no more behind than the first."""
    (moment,) = (
        name for name in finished.result.replaced if "/finetune/" in name and name.endswith("checkpoints/epoch_001.pt")
    )
    study("stages=[pretrain,finetune]", kill_at=("before", moment))
    first = files(study.output / "results")
    study("stages=[pretrain,finetune]", kill_at=("before", moment))
    assert len(files(study.output / "results")) == len(first)


def test_a_stopped_run_that_was_taken_over_writes_nothing(study: Studies, finished: Finished) -> None:
    """Its machine was suspended, or could not reach the disk: another run, on another machine, did its work."""
    stopped = study.start("stages=[scratch]")
    while not (begun := [*study.output.glob("results/scratch/*/checkpoints/epoch_001.pt")]):
        assert not stopped.ended(0.005)
    os.kill(stopped.process.pid, signal.SIGSTOP)
    result = begun[0].parent.parent
    (lease,) = place_of(result).glob("[0-9]*")
    lease.write_text(json.dumps(look(lease.parent).holder | {"host": "elsewhere"}))
    os.utime(lease, (then := time.time() - LONG - 60, then))
    other = study("stages=[scratch]")
    assert other.code == 0, other.err
    before = contents(study.output)
    os.kill(stopped.process.pid, signal.SIGCONT)
    ended = stopped.wait()
    assert ended.code == 1, ended.err
    assert ended.err.splitlines()[-1].startswith(f"{result} was taken over by process ")
    assert "Traceback" not in ended.err
    assert contents(study.output) == before
    made, wanted = (
        {file.name: file.read_bytes() for file in output.glob("results/scratch/*/checkpoints/*")}
        for output in (study.output, finished.output)
    )
    assert made == wanted


def test_a_complete_run_does_nothing(resumable: Studies) -> None:
    before = _times(resumable.output)
    command = [sys.executable, "-X", "importtime", "run.py", *arguments(f"output={resumable.output}")]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    assert _times(resumable.output) == before
    imported = {line.rpartition("|")[2].strip() for line in run.stderr.splitlines() if line.startswith("import time:")}
    assert "hydra" in imported  # the list is what it is taken for
    assert not imported & {"torch", "lightning", "pandas", "wandb", "interactions.evaluate", "analysis.analyse"}


def _moments(replaced: list[str]) -> list[str]:
    """For each stage: its first replacement, one in the middle, some where it is delicate, and the last."""
    once = [name for name, count in Counter(replaced).items() if count == 1]
    chosen = []
    for stage in STAGES:
        names = [name for name in once if stage_of(name) == stage]
        delicate = {
            len(names) // 2,
            len(names) - 2,  # training: there is a last.ckpt to go on from
            # Blocks, values.npy, meta.json.
            *(i for i, name in enumerate(names) if "/finetune/" in name and "/epoch_001/" in name),
        }
        if stage == "analysis":  # starts anew every time, and is slow
            delicate = {len(names) // 3}
        chosen += [names[i] for i in sorted({0, *delicate, len(names) - 1})]
        if stage == "pretrain":  # complete, but without its link in the run's folder
            chosen[-1] = "digits/seed=0/pretrain"
    return chosen


def stage_of(name: str) -> str:
    """Of a file below the output folder: results/<stage>/..., or <study>/seed=0/...

    Features lie beside the backbone, but are the probe's; what a run's folder shows belongs to no stage.
    """
    parts = name.split("/")
    if parts[0] == "results":
        return "probe" if "features" in parts else parts[1]
    return "analysis" if parts[2:3] == ["analysis"] and len(parts) > 3 else ""


def _wait_for(running: Running, replacements: int) -> None:
    deadline = time.monotonic() + 60
    while len(running.replaced()) < replacements and time.monotonic() < deadline:
        if running.ended():
            pytest.fail((running.log / "err").read_text())
        time.sleep(0.005)


def _tables(output: Path) -> dict[str, bytes]:
    found = {str(path.relative_to(output)): path.read_bytes() for path in output.rglob("*.csv")}
    assert any("analysis/tables" in name for name in found)
    return found


def _weights(output: Path) -> dict[str, dict[str, torch.Tensor]]:
    found = output.rglob("epoch_*.pt")
    return {str(path.relative_to(output)): torch.load(path, weights_only=True) for path in found}


def _equal(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[key], second[key]) for key in first)


def _times(folder: Path) -> dict[str, int]:
    return {name: os.lstat(folder / name).st_mtime_ns for name in files(folder)}
