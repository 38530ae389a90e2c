"""What a run of a sweep leaves behind: nothing that the next one would take for its own."""

import os
import sys
from contextlib import suppress

import pytest
from omegaconf import OmegaConf

from stages.alone import alone, own_command

COMMAND = [
    "run.py",
    "-m",
    "--config-dir",
    "conf",
    "experiment=tiny",
    "seed=0,1",
    "hydra.mode=MULTIRUN",
    "trainer.devices=2",
]
JOB = OmegaConf.create(
    {
        "overrides": {
            "task": ["experiment=tiny", "seed=1", "trainer.devices=2"],
            "hydra": [
                "hydra.mode=MULTIRUN",
                "hydra.sweep.dir=/tmp/x",
                "hydra/launcher=slurm",
                "hydra.launcher.mem_gb=2",
                "hydra.verbose=true",
            ],
        }
    }
)
OWN = [
    "run.py",
    "--config-dir",
    "conf",
    "experiment=tiny",
    "seed=1",
    "trainer.devices=2",
    "hydra.verbose=true",
    "hydra.mode=RUN",
]


def test_the_command_of_one_run() -> None:
    assert own_command(COMMAND, JOB) == OWN


def test_nothing_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", COMMAND)
    monkeypatch.setenv("MASTER_PORT", "1234")
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    with suppress(ValueError), alone(JOB):
        assert sys.argv == OWN
        os.environ |= {"MASTER_PORT": "4321", "LOCAL_RANK": "0"}
        raise ValueError("a bug")
    assert sys.argv == COMMAND
    assert (os.environ["MASTER_PORT"], os.environ.get("LOCAL_RANK")) == ("1234", None)
