"""Training on several devices: Lightning starts the program once more for each further one."""

import os
from types import SimpleNamespace

import pytest
from hydra import compose, initialize_config_dir
from studies import ROOT

from conf import schema
from stages import group, runner

schema.register()


def test_the_further_processes_train_and_say_nothing(monkeypatch: pytest.MonkeyPatch, capsys, tmp_path) -> None:
    def run(cfg: object, results: dict, name: str) -> None:
        print(f"training {name}")
        trained.append(name)
        group.tell("end" if len(trained) == 2 else "train scratch")

    trained = []
    monkeypatch.setattr(runner, "_module", lambda stage: SimpleNamespace(run=run))
    monkeypatch.setattr(os, "environ", os.environ.copy())
    group.expect_children()  # the first process is this one, too
    group.tell("train finetune")
    monkeypatch.setenv("LOCAL_RANK", "1")
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        cfg = compose(
            "config", [f"output={tmp_path}", f"run_dir={tmp_path}/run", "stages=[probe,finetune,scratch,analysis]"]
        )
    runner.run_study(cfg)
    group.close()
    assert trained == ["finetune", "scratch"]
    assert capsys.readouterr().out == ""
    assert list(tmp_path.iterdir()) == []
