"""All experiments can be planned on a machine that has no files, no weights and no network."""

import re
import shutil
import socket
from pathlib import Path
from types import SimpleNamespace

import huggingface_hub
import pytest
import torch
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from conf import schema
from conf.check import check
from models import trial
from stages.need import Rates
from stages.plan import plan
from stages.span import Span
from training import tasks

CONF = Path(__file__).resolve().parents[1] / "conf"
NAMES = sorted(file.stem for file in (CONF / "experiment").glob("*.yaml"))
EPOCHS = [name for name in NAMES if name.startswith("deng_")]
LAYERS = [name for name in NAMES if name.startswith("goerttler_")]
BUILT_IN = ("digits", "digits_seeds", "graded_transfer", "phrases", "probe_scale", "together")

schema.register()


@pytest.fixture(scope="module", autouse=True)
def _nothing_is_here(tmp_path_factory: pytest.TempPathFactory):
    """And nothing is measured, nor tried; each model is built once, with zeros for weights, which takes no time."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        nowhere, build, built = tmp_path_factory.mktemp("nowhere"), tasks.build_model, {}

        def once(options, classes):
            key = OmegaConf.to_yaml(options), classes
            if key not in built:
                built.clear()
                with torch.device("meta"):
                    built[key] = build(options, classes)
                built[key].to_empty(device="cpu")
                for tensor in (*built[key].parameters(), *built[key].buffers()):
                    tensor.data.zero_()
            return built[key]

        def refuse(*_, **__):
            raise OSError("there is no network")

        monkeypatch.setattr(tasks, "build_model", once)
        monkeypatch.setattr(trial, "check", lambda *_, **__: None)
        monkeypatch.setattr(trial, "check_alone", lambda *_: None)
        monkeypatch.setattr(torch.hub, "get_dir", lambda: str(nowhere))
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(nowhere))
        monkeypatch.setattr(socket, "create_connection", refuse)
        monkeypatch.setattr("training.rates.measured", lambda *_: Rates(*[Span(1e-3, 2e-3)] * 4))
        monkeypatch.setattr("interactions.rates.measured", lambda _: Span(1e-4, 2e-4))
        yield


def planned(name: str, tmp_path: Path, *options: str) -> list[str]:
    """Returns the lines of the plan."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        places = [f"output={tmp_path}/out", f"run_dir={tmp_path}/out/run", f"data.root={tmp_path}/data"]
        cfg = compose("config", [f"experiment={name}", "plan=true", *places, *options])
    check(cfg)
    return plan(cfg).splitlines()


def replaced(lines: list[str]) -> list[str]:
    return [line.split(":")[0] for line in lines if re.match("data|weights", line)]


def cost_of(name: str) -> str:
    return (CONF / "experiment" / f"{name}.yaml").read_text().partition("# Cost:")[2]


@pytest.mark.parametrize("name", EPOCHS)
def test_a_sweep_over_epochs_can_be_planned(name: str, tmp_path: Path) -> None:
    """The first run with its pre-training, as its file says."""
    lines = planned(name, tmp_path)
    assert replaced(lines) == ([] if name == "deng_embedded" else ["data", "data"]), "source and target"
    rows = {line.split()[0]: line.split() for line in lines}
    assert {"interactions", "scratch"}.isdisjoint(rows)
    passes = [int(rows[stage][4].replace(",", "")) for stage in ("pretrain", "finetune")]
    shown = [f"{n / 1e6:.1f} million" if n > 1e6 else f"{float(f'{n:.2g}'):,.0f}" for n in passes]
    cost = " ".join(cost_of(name).replace("#", "").split())
    assert f"{shown[0]} training passes of pre-training" in cost
    assert f"{shown[1]} of fine-tuning" in cost
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", LAYERS)
def test_a_sweep_over_conditions_can_be_planned(name: str, tmp_path: Path) -> None:
    """The first run, with the trainings of its roles alone."""
    lines = planned(name, tmp_path)
    rows = {line.split()[0]: line.split() for line in lines}
    trained = {
        stage: int(rows[stage][4].replace(",", "")) for stage in rows.keys() & {*("pretrain", "finetune", "scratch")}
    }
    assert {"interactions", "probe"}.isdisjoint(rows)
    if name == "goerttler_embedded":
        assert (replaced(lines), trained) == ([], {"pretrain": 10_000, "finetune": 12_500, "scratch": 12_500})
    elif "pretrain" in trained:
        assert (replaced(lines), trained) == (["data", "data"], {"pretrain": 5_000_000, "finetune": 1_000_000})
    else:
        assert (replaced(lines), trained) == (["data"], {"scratch": 10_000_000})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", sorted({*NAMES} - {*EPOCHS, *LAYERS}))
def test_an_experiment_can_be_planned(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the passes that its file says it takes."""
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1_000_000))
    lines = planned(name, tmp_path)
    assert replaced(lines) == ([] if name in BUILT_IN else ["data", "weights"])
    rows = {line.split()[0]: line.split() for line in lines}
    cost = cost_of(name)
    assert f" {rows['interactions'][3]} masked inputs" in cost
    trained = int(rows["together"][2].replace(",", ""))
    if name not in BUILT_IN:
        assert f" {trained / 1e6:.1f} million training passes" in cost
    assert lines[-3].endswith("1.0 MB are free, which is not enough")
    assert list(tmp_path.iterdir()) == []
