"""Training on several devices: Lightning starts the program once more for each further one."""

import pytest
from omegaconf import OmegaConf

import run


def test_the_further_processes_train_and_say_nothing(monkeypatch: pytest.MonkeyPatch, capsys, tmp_path) -> None:
    def train(cfg: object, stage: str) -> None:
        print(f"training {stage}")
        trained.append(stage)

    trained = []
    monkeypatch.setattr(run, "_run", train)
    monkeypatch.setenv("LOCAL_RANK", "1")
    run.run_stages(
        OmegaConf.create({"run_dir": str(tmp_path), "model": {}, "data": {}}), ["finetune", "scratch", "analysis"]
    )
    assert trained == ["finetune", "scratch"]
    assert capsys.readouterr().out == ""
