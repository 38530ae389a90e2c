"""The paper's fourteen experiments: all compose and build, one of each kind of network runs from end to end."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from studies import ROOT, Running, Studies

from conf import schema
from conf.check import check
from models.backbone import build
from models.weights import size

CONF = ROOT / "conf"
NETWORKS = {"vgg16": 540e6, "resnet50": 96e6, "vit_s": 87e6, "vit_b": 344e6}  # bytes of a checkpoint of 200 classes
PAPER = {f"{data}_{model}" for data in ("cifar10", "cub200", "cars") for model in NETWORKS}
PAPER |= {"sst2_bert", "sst2_distilbert"}
CLASSES = {"cifar10": 10, "cub200": 200, "cars": 196, "sst2": 2}

# One network of each kind, with images as small as it takes.
DEBUGGED = {"cub200_resnet50": ["model.input.size=64"], "cars_vit_s": [], "sst2_bert": []}

BUILT_IN = {"digits", "digits_seeds", "graded_transfer", "phrases", "probe_scale"}

schema.register()


def composed(*overrides: str) -> object:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose("config", ["output=/tmp", *overrides])


def test_they_are_all_there() -> None:
    assert {file.stem for file in (CONF / "experiment").glob("*.yaml")} == PAPER | BUILT_IN


@pytest.mark.parametrize("name", sorted(PAPER))
def test_an_experiment_is_the_papers(name: str) -> None:
    cfg = composed(f"experiment={name}")
    check(cfg)
    assert (cfg.name, cfg.interactions.n, cfg.data.source) == (name, 10, None)
    assert ":" in cfg.model.weights, "the full name of published weights"
    if name.startswith("sst2"):
        return
    assert cfg.model.input.size == 224
    side = 224 / cfg.interactions.grid
    assert (side, cfg.interactions.margin) == ((32, 1) if "vit" in name else (28, 1))


@pytest.mark.parametrize("model", [*NETWORKS, "bert", "distilbert"])
def test_the_header_of_its_experiments_states_the_true_size(model: str) -> None:
    """The models of the experiments that are not run here are built here."""
    for name in sorted(name for name in PAPER if name.endswith(f"_{model}")):
        cfg = composed(f"experiment={name}")
        network = build(cfg.model, CLASSES[name.split("_")[0]])
        text = (CONF / "experiment" / f"{name}.yaml").read_text()
        assert f"{size(network) / 1e6:.0f} MB each" in text
        checkpoints = _count(cfg, "finetune") + _count(cfg, "scratch") + 1
        assert f"({checkpoints} checkpoints x {cfg.interactions.samples}" in text
        assert f"{checkpoints * cfg.interactions.samples * 1024:,} masked inputs" in text


def _count(cfg: object, stage: str) -> int:
    last = cfg[stage].epochs
    return (
        last + 1 if cfg.checkpoints.epochs == "all" else len({e for e in cfg.checkpoints.epochs if e <= last} | {last})
    )


@pytest.fixture(scope="module")
def debugging(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Studies, Running]]:
    """Runs with debug=tiny, all at once."""
    started = {}
    for name, small in DEBUGGED.items():
        study = Studies(tmp_path_factory.mktemp(name) / "outputs", tmp_path_factory.mktemp(f"{name}_scrap"))
        options = (f"experiment={name}", "debug=tiny", "wandb.mode=disabled", "trainer.accelerator=cpu")
        started[name] = study, study.start(*options, *small, "interactions.device=cpu", tiny=False)
    return started


@pytest.mark.parametrize("name", DEBUGGED)
def test_debugging_runs_it_from_end_to_end(debugging: dict[str, tuple[Studies, Running]], name: str) -> None:
    study, running = debugging[name]
    result = running.wait(600)
    assert result.code == 0, result.err
    (run,) = (file.parent for file in (study.output / name).rglob("results.json"))
    samples = json.loads((run / "interactions" / "samples" / "samples.json").read_text())
    assert (samples["n"], len(samples["samples"])) == (3, 4)
    for stage, epochs in (("probe", (1,)), ("finetune", (0, 1)), ("scratch", (0, 1))):
        for epoch in epochs:
            values = np.load(run / "interactions" / stage / f"epoch_{epoch:03d}" / "values.npy")
            assert values.shape == (4, 8)
            assert np.isfinite(values).all()
    assert _rows(run / "analysis" / "tables" / "ratio.csv")
    assert (run / "analysis" / "report.html").stat().st_size > 100_000


def _rows(file: Path) -> list[dict[str, str]]:
    with file.open(newline="") as open_file:
        return list(csv.DictReader(open_file))
