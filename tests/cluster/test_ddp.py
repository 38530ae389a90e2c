"""Two tasks of a job train together, and a job whose time is over goes on where it was."""

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd
from scheduler import ROOT, Slurm
from studies import CONF, Studies

SMALL = ["model=vit_tiny", "model.depth=1", "model.dim=8", "model.heads=2"]  # without batch-norm and dropout
# 21 samples in batches of 8: the last one has parts of 3 and 2. Its rate lets a wrong mean show.
SHARED = ["global_batch=true", "data.target.train_samples=21", "finetune.lr=0.01", "scratch.lr=0.001"]
TOGETHER = ["trainer.devices=2", "trainer.strategy=ddp"]


def submitted(slurm: Slurm, folder: Path, name: str, *overrides: str, options: tuple[str, ...] = ()) -> str:
    """Submits `srun python run.py ...`, which writes to <name>.log, and returns the job's number."""
    command = f"srun python {ROOT}/run.py --config-dir={CONF} experiment=tiny output={folder / name} "
    script = folder / f"{name}.sh"
    script.write_text(f"#!/bin/sh\n{command}{' '.join(overrides)}\n")
    words = ("sbatch", "--parsable", "--open-mode=append", "-o", f"{name}.log", *options, script)
    return slurm(*words, cwd=folder).stdout.strip()


def says(log: Path, text: str) -> Callable[[], bool]:
    return lambda: log.exists() and text in log.read_text()


def task(job: str, number: int) -> int:
    """Returns the process of this task of the job's step."""
    wanted = {f"SLURM_JOB_ID={job}", f"SLURM_PROCID={number}", "SLURM_STEP_ID=0"}
    for place in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended meanwhile
            given = set((place / "environ").read_text().split("\0"))
            if wanted <= given and "run.py" in (place / "cmdline").read_text():
                return int(place.name)
    raise AssertionError(f"task {number} of job {job} does not run")


def test_two_tasks_train_as_one_process_would(slurm: Slurm, tmp_path: Path) -> None:
    """The whole study. A task is killed once: all end, and the same command goes on."""
    tasks, log = ("--ntasks-per-node=2",), tmp_path / "two.log"
    job = submitted(slurm, tmp_path, "two", *SMALL, *SHARED, *TOGETHER, options=tasks)
    alone = Studies(tmp_path / "one", tmp_path / "scrap").start(*SMALL, *SHARED, "stages=[pretrain,finetune,scratch]")
    slurm.wait(says(log, "pretrain: epoch 1/2"))
    os.kill(task(job, 1), signal.SIGKILL)
    killed = time.monotonic()
    assert slurm.wait_for_all()[job] == "FAILED"
    assert time.monotonic() - killed < 15
    ours = [line for line in log.read_text().splitlines() if not line.startswith(("srun: ", "slurmstepd"))]
    assert ours[-1].startswith("process 1 on ")
    assert ours[-1].endswith(" of the training has gone: run the same command to go on")
    assert "Traceback" not in log.read_text()
    job = submitted(slurm, tmp_path, "two", *SMALL, *SHARED, *TOGETHER, options=tasks)
    assert slurm.wait_for_all()[job] == "COMPLETED", log.read_text()
    assert alone.wait().code == 0
    said = log.read_text()
    last = said[said.rindex("pretrain: ") :]  # the first attempt may have come as far before it ended
    assert last.count("finetune: 2 devices x batch size 4 = 8 samples per step\n") == 1
    assert said.count("report: ") == 1, "the first task alone speaks"
    for stage in ("pretrain", "finetune", "scratch"):
        two, one = (next((tmp_path / name).glob(f"results/{stage}/*/metrics.csv")) for name in ("two", "one"))
        pd.testing.assert_frame_equal(pd.read_csv(two), pd.read_csv(one), rtol=1e-6)
        two, one = (np.load(file.with_name("losses.npy")) for file in (two, one))
        np.testing.assert_allclose(two, one, rtol=1e-5)
    assert np.ptp(one[:, 0]) > 1e-3, "something was learned"


def test_a_job_that_is_told_its_end_goes_on_later(slurm: Slurm, tmp_path: Path) -> None:
    """By SIGUSR1, as `sbatch --signal=USR1@90` sends it."""
    long, log = ("stages=[pretrain]", "pretrain.epochs=25"), tmp_path / "again.log"
    job = submitted(slurm, tmp_path, "again", *long)
    slurm.wait(says(log, "epoch 3/25"))
    slurm("scancel", "--signal=USR1", job, cwd=tmp_path)
    undisturbed = Studies(tmp_path / "whole", tmp_path / "scrap")(*long)
    assert undisturbed.code == 0, undisturbed.err
    slurm.wait(says(log, "epoch 25/25"), 150)
    slurm.wait_for_all()
    said = log.read_text()
    assert slurm.states()[job] == "COMPLETED", said
    assert said.count(f"interrupted by SIGUSR1 in pretrain: Slurm runs job {job} again, which goes on\n") == 1
    assert said.count("epoch 1/25") == said.count("epoch 25/25") == 1
    there, expected = (sorted((tmp_path / name).glob("results/pretrain/[!.]*/**/*")) for name in ("again", "whole"))
    assert [path.name for path in there] == [path.name for path in expected]
    for file, other in zip(there, expected, strict=True):
        if file.suffix in (".csv", ".npy", ".pt"):
            assert file.read_bytes() == other.read_bytes(), file
