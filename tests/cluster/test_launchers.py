"""Sweeps whose runs are jobs of Hydra's launchers, on a real Slurm and side by side on this machine."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from scheduler import ROOT, Slurm
from studies import Result, Running, Studies, arguments, check_refused

SLURM = (
    "hydra/launcher=slurm",
    "hydra.launcher.cpus_per_task=1",
    "hydra.launcher.mem_gb=1",
    "hydra.launcher.timeout_min=15",
)
LONG = ("stages=[pretrain]", "pretrain.epochs=40")


def program(*words: str, **env: str) -> Result:
    """In a process of its own: joblib can't start processes from a forked one."""
    alone = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)} | env
    command = [sys.executable, "run.py", *words]
    done = subprocess.run(command, cwd=ROOT, env=alone, capture_output=True, text=True, timeout=100)
    return Result(done.returncode, done.stdout, done.stderr, [])


def logs(study: Studies) -> dict[str, str]:
    """The only files in the folder of the only sweep -> their text, by the name of the run that they begin with."""
    (folder,) = (study.output / "sweeps").iterdir()
    texts = [file.read_bytes().decode() for file in folder.iterdir()]
    return {text.splitlines()[0]: text for text in texts}


def weights(output: Path) -> dict[str, torch.Tensor]:
    (file,) = (output / "digits" / "pretrain.epochs=40" / "seed=0" / "pretrain" / "checkpoints").glob("epoch_040.pt")
    return torch.load(file, weights_only=True)


def wait_for(slurm: Slurm, running: Running, study: Studies, runs: list[str]) -> None:
    """Until these runs have trained for some epochs."""

    def begun() -> bool:
        assert not running.ended(), running.wait().err
        found = [file.read_text() for file in (study.output / "sweeps").glob("*/*_log.out")]
        return all(any(text.startswith(run) and "epoch 2/" in text for text in found) for run in runs)

    slurm.wait(begun)


def test_a_sweep_ends_with_its_list_whatever_becomes_of_its_jobs(slurm: Slurm, study: Studies, tmp_path: Path) -> None:
    """One is interrupted and goes on, one is cancelled, one refused; then a plain command makes what is missing."""
    env = {name: slurm.env[name] for name in ("SLURM_CONF", "PATH", "PYTHONPATH", "WANDB_MODE", "OMP_NUM_THREADS")}
    running = study.start("-m", *SLURM, "seed=0,1,-1", "interactions.processes=2", *LONG, **env)
    wait_for(slurm, running, study, ["[1/3]", "[2/3]"])
    queued = slurm("squeue", "-h", "-r", "-o", "%i %j", cwd=tmp_path).stdout.split("\n")
    job = queued[0].partition("_")[0]
    assert {line.partition(" ")[2] for line in queued if line} == {"digits/seed"}
    slurm("scancel", "--signal=USR2", f"{job}_0", cwd=tmp_path)
    slurm("scancel", f"{job}_1", cwd=tmp_path)
    undisturbed = Studies(tmp_path / "undisturbed", tmp_path / "scrap_2")("seed=0", *LONG)
    assert undisturbed.code == 0, undisturbed.err
    result = running.wait()
    assert result.code == 1, "not all failures are refusals"
    assert "Traceback" not in result.err
    ends = [line for line in result.out.splitlines() if line.startswith("[")]
    run, refused = study.output / "digits" / "pretrain.epochs=40", "seed=-1 is not allowed: a whole number"
    assert re.fullmatch(rf"\[1/3\] seed=0: done in \d+:\d\d, {run}/seed=0", ends[0]), (
        "and not where processes=2 is named"
    )
    assert ends[1].startswith(f"[2/3] seed=1: failed: its job {job}_1 was ended (CANCELLED)")
    assert ends[2].startswith(f"[3/3] seed=-1: failed: {refused}")
    first, *failed = result.out[result.out.index("\n1 done, ") + 1 :].splitlines()
    assert first == "1 done, 2 failed"
    for line, number in zip(failed, "12", strict=True):
        assert re.search(rf"; its log: {study.output}/sweeps/\S+/{job}_{number}_0_log\.out$", line), line
    said = logs(study)
    assert set(said) == {"[1/3] seed=0", "[2/3] seed=1", "[3/3] seed=-1"}, "logs alone are left"
    assert "interrupted by the scheduler in pretrain: queued again, goes on where it was\n" in said["[1/3] seed=0"]
    assert said["[1/3] seed=0"].count("epoch 3/40") <= 1, "it goes on where it was"
    assert said["[3/3] seed=-1"].endswith(f"[3/3] seed=-1: failed: {refused} from 0 to 2147483647 is expected\n")
    assert not [text for text in said.values() if "\r" in text or "%|" in text], "no bars"
    expected, found = weights(tmp_path / "undisturbed"), weights(study.output)
    assert all(torch.equal(expected[key], found[key]) for key in expected)
    repaired = study("seed=1", *LONG)
    assert repaired.code == 0, repaired.err
    assert (run / "seed=1" / "pretrain" / "done.json").exists()
    again = study("-m", "seed=0,1", *LONG)
    assert again.code == 0, again.err
    assert not [name for name in again.replaced if name.startswith("results/")]


@pytest.mark.parametrize("launcher", ["local", "joblib"])
def test_runs_side_by_side_on_this_machine(study: Studies, launcher: str) -> None:
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher")
    words = arguments(f"output={study.output}", "-m", f"hydra/launcher={launcher}", "seed=-1,0", "stages=[pretrain]")
    result = program(*words)
    assert result.code == 2, result.err
    assert result.err == ""
    head, *ends, counts, failed = result.out.splitlines()
    said = logs(study)
    assert re.fullmatch(rf"2 runs, each with a log in {study.output}/sweeps/\S+", head)
    assert sorted(re.sub(r"in \d+:\d\d", "in", end) for end in ends) == [
        "[1/2] seed=-1: failed: seed=-1 is not allowed: a whole number from 0 to 2147483647 is expected",
        f"[2/2] seed=0: done in, {study.output}/digits/seed=0",
    ]
    assert counts == "1 done, 1 failed"
    assert re.search(rf"; its log: {study.output}/sweeps/\S+$", failed)
    assert all(any(text.endswith(f"{end}\n") for text in said.values()) for end in ends)
    assert set(said) == {"[1/2] seed=-1", "[2/2] seed=0"}
    assert "epoch 2/2" in said["[2/2] seed=0"]


SBATCH = """#!/bin/sh
cp "$1" "$COPY"
echo "sbatch: error: no such luck" >&2
exit 1
"""


def test_what_is_asked_of_slurm(study: Studies, tmp_path: Path) -> None:
    """Without one: its sbatch refuses, which is said in one line, and nothing is left."""
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher")
    for name in ("sbatch", "srun"):
        (tmp_path / name).write_text(SBATCH)
        (tmp_path / name).chmod(0o755)
    env = {"PATH": f"{tmp_path}:/usr/bin:/bin", "COPY": str(tmp_path / "script")}
    asked = ("partition=gpu", "tasks_per_node=2", "setup=[module load cuda]")
    mail = "+hydra.launcher.additional_parameters.mail-type=FAIL"
    options = (*(f"hydra.launcher.{word}" for word in asked), mail, "trainer.devices=2")
    result = study("-m", "hydra/launcher=slurm", *options, "seed=0,1", "model=conv4_narrow,vit_tiny", **env)
    check_refused(result, "the sweep's jobs could not be started: sbatch: error: no such luck")
    assert (result.out, len(result.err.splitlines())) == ("", 1)
    assert not list((study.output / "sweeps").iterdir())
    script = (tmp_path / "script").read_text().splitlines()
    own = {"--job-name=digits/seed,model", "--partition=gpu", "--ntasks-per-node=2", "--mail-type=FAIL"}
    ours = {"--time=240", "--signal=USR2@120", "--mem=8GB", "--cpus-per-task=4", "--array=0-3%4"}
    assert {f"#SBATCH {line}" for line in own | ours} | {"module load cuda"} <= set(script)


def test_launchers_that_can_not_be_used_are_refused(study: Studies, tmp_path: Path) -> None:
    (tmp_path / "hydra_plugins").mkdir()
    (tmp_path / "hydra_plugins" / "__init__.py").touch()  # hides all plugins
    for launcher in ("slurm", "local", "joblib"):
        words = ("-m", f"hydra/launcher={launcher}", "seed=0,1", f"output={study.output}")
        result = program(*words, PYTHONPATH=f"{tmp_path}:{ROOT}")
        expected = f'hydra/launcher={launcher} needs a package that is not installed: pip install ".[cluster]"\n'
        assert (result.code, result.err) == (2, expected)
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher")
    check_refused(study("hydra/launcher=slurm", "seed=0"), "hydra/launcher=slurm", "add -m")
    short = study("-m", "hydra/launcher=slurm", "hydra.launcher.timeout_min=2", "seed=0")
    check_refused(short, "signal_delay_s=120", "at most half", "timeout_min=2")
    plan = study("-m", "hydra/launcher=slurm", "seed=0,1", "plan=true", "stages=[pretrain]")
    assert plan.out.endswith("\n2 planned\n"), "which needs no jobs"
    assert not study.output.exists()
