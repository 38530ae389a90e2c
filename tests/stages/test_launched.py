"""A process that a launcher starts is like one that the user starts."""

import json
import os
import sys
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from stages import launched, signals
from stages.launched import BASIC, COMMAND, begin, place_of


def test_in_the_sweeps_own_process_there_is_nothing_to_do():
    assert begin(OmegaConf.create({"launcher": {"_target_": BASIC}}), print) is None


def test_a_job_has_the_sweeps_command_and_is_the_first_process_of_its_run(monkeypatch, tmp_path):
    """Further processes of a training repeat the command, and end with the first process."""
    log = tmp_path / "sweep" / "7.log"
    for name, value in ((COMMAND, json.dumps(["run.py", "-m", "seed=0,1"])), (signals.FIRST, "1")):
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "argv", ["submitit"])
    monkeypatch.setattr(sys.modules["__main__"], "__spec__", "submitit's")
    monkeypatch.setattr(launched, "_in_a_worker", lambda hydra: log)
    hydra = OmegaConf.create({"launcher": {"_target_": "of.a.plugin"}, "sweep": {"dir": str(tmp_path / "sweep")}})
    assert begin(hydra, print) == str(log)
    assert sys.argv == ["run.py", "-m", "seed=0,1"]
    assert os.environ[signals.FIRST] == str(os.getpid())
    assert sys.modules["__main__"].__spec__ is None


@pytest.mark.parametrize(("folder", "place"), [("sweep", "sweep/7.log"), ("elsewhere", "{}/sweep/7.log")])
def test_logs_are_named_like_the_folder_of_the_sweep(monkeypatch, tmp_path, folder, place):
    monkeypatch.chdir(tmp_path)
    assert place_of(tmp_path / "sweep" / "7.log", Path(folder)) == place.format(tmp_path)
