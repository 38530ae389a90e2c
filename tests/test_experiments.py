"""The papers' experiments: all compose, those on interactions build, one of each kind of network is run."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from studies import ROOT, Running, Studies

from conf import schema
from conf.check import check
from conf.sweeps import one_by_one
from models.backbone import build
from models.weights import size

CONF = ROOT / "conf"
NETWORKS = {"vgg16": 540e6, "resnet50": 96e6, "vit_s": 87e6, "vit_b": 344e6}  # bytes of a checkpoint of 200 classes
PAPER = {f"{data}_{model}" for data in ("cifar10", "cub200", "cars") for model in NETWORKS}
PAPER |= {"sst2_bert", "sst2_distilbert"}
CLASSES = {"cifar10": 10, "cub200": 200, "cars": 196, "sst2": 2}

# One network of each kind, with images as small as it takes.
DEBUGGED = {"cub200_resnet50": ["model.input.size=64"], "cars_vit_s": [], "sst2_bert": []}

SWEPT = {"deng_shenzhen": ["model.input.size=64"]}  # the one with the fewest samples

CONDITIONS = {"goerttler_domain": ["seed=0", "condition=svhn,random"]}

BUILT_IN = {"digits", "digits_seeds", "graded_transfer", "phrases", "probe_scale", "together"}

# arXiv 2203.04668: fine-tuning (epochs, iterations, rate) and a softmax layer on frozen features, as section 3.3 says.
NATURAL = ((300, 9000, 0.1), (300, 6000, 0.01))
EPOCHS = dict.fromkeys(("food101", "aircraft", "cars", "cub200", "flowers102", "indoor67"), NATURAL)
EPOCHS |= dict.fromkeys(("cifar10", "cifar100"), ((150, None, 0.1), (150, None, 0.1)))
EPOCHS |= {"shenzhen": ((300, 1000, 0.01), (300, 1000, 0.001))}
SMALL = {"toy", "table1", "embedded"}

# arXiv 2207.09225: what is swept over, and whose training it is.
DEGREES, SEEDS = "0,1,3,5,7,9", "0,1,2,3,4"
LAYERS = {
    "epochs": ("scratch", {}),
    "labels": ("scratch", {"data.labels.random": DEGREES}),
    "size": ("scratch", {"data.target.train_samples": "500,1000,5000,10000,50000"}),
    "finetune_labels": ("finetune", {"data.labels.random": DEGREES}),
    "finetune_svhn": ("finetune", {"data.labels.random": DEGREES}),
    "domain": ("finetune", {"condition": "original,shifted,svhn,random"}),
    "reference": ("finetune", {"condition": "original,shifted,svhn,random"}),
}

schema.register()
OmegaConf.register_new_resolver("swept", one_by_one, replace=True)


def composed(*overrides: str) -> object:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose("config", ["output=/tmp", *overrides])


def test_they_are_all_there() -> None:
    of_epochs = {f"deng_{name}" for name in EPOCHS.keys() | SMALL}
    of_layers = {f"goerttler_{name}" for name in LAYERS} | {"goerttler_embedded"}
    assert {file.stem for file in (CONF / "experiment").glob("*.yaml")} == PAPER | BUILT_IN | of_epochs | of_layers


@pytest.mark.parametrize("name", sorted(EPOCHS))
def test_an_experiment_on_epochs_is_the_papers(name: str) -> None:
    cfg = composed(f"experiment=deng_{name}")
    check(cfg)
    assert (cfg.name, cfg.data.source.files.path, cfg.model.weights) == (f"deng_{name}", "imagenet", "pretrain")
    assert (cfg.model.name, cfg.model.input.size, cfg.data.target.train_samples) == ("resnet50", 224, None)
    first = cfg.pretrain
    assert (first.epochs, first.batch_size, first.optimizer, first.lr) == (90, 256, "sgd", 0.1)
    assert (first.momentum, first.weight_decay) == (0.9, 1e-4)
    assert (first.schedule, first.step_epochs, first.step_factor) == ("step", 30, 0.1)
    trained = cfg.finetune, cfg.analysis.options.transfer
    assert tuple((each.epochs, each.iterations, each.lr) for each in trained) == EPOCHS[name]
    if name.startswith("cifar"):
        steps = [(each.optimizer, each.schedule, each.step_epochs, each.get("step_factor", 0.1)) for each in trained]
        assert steps == [("adam", "step", 50, 0.1)] * 2
    assert {10, 40, 70, 90} < set(cfg.checkpoints.epochs)
    assert max(cfg.checkpoints.epochs) == cfg.pretrain.epochs


def test_the_small_experiments_on_epochs_are_the_papers() -> None:
    toy, table = (composed(f"experiment=deng_{name}") for name in ("toy", "table1"))
    for cfg, samples, epochs in ((toy, 1000, 100), (table, None, 50)):
        check(cfg)
        assert (cfg.data.source.files._target_, cfg.data.target.files._target_) == (
            "data.vision.cifar10",
            "data.vision.mnist",
        )
        assert (cfg.data.target.train_samples, cfg.data.target.test_samples) == (samples, None)
        assert (cfg.model._target_, cfg.model.stem, cfg.model.input.size) == ("models.vision.resnet18", "cifar", 32)
        assert (cfg.pretrain.epochs, cfg.finetune.epochs, cfg.analysis.options.transfer.epochs) == (200, epochs, epochs)
        assert {5, 200} < set(cfg.checkpoints.epochs)
    assert table.analysis.options.spectrum.paper[5].pretrain == [96.47, 88.24, 55.45]
    text = " ".join((CONF / "experiment" / "deng_table1.yaml").read_text().replace("#", "").split())
    for epoch in table.analysis.options.spectrum.paper.values():
        for model in epoch.values():
            assert " / ".join(f"{number:.2f}" for number in model) in text, "the header has the same numbers"


@pytest.mark.parametrize("name", sorted({*EPOCHS, *SMALL}))
@pytest.mark.parametrize(("options", "swept"), [
    ((), None), (("checkpoints.epochs=[9,2,70]",), "9,2,70"), (("checkpoints.epochs=all",), "last"),
    (("debug=tiny",), "last"),
])  # fmt: skip
def test_an_experiment_on_epochs_is_a_sweep_over_those_that_are_kept(name: str, options: tuple, swept: str) -> None:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        cfg = compose("config", [f"experiment=deng_{name}", *options], return_hydra_config=True)
    assert cfg.hydra.mode.name == "MULTIRUN"
    assert cfg.hydra.sweeper.params["start.epoch"] == (swept or ",".join(map(str, cfg.checkpoints.epochs)))
    assert list(cfg.interactions.roles) == ["pretrain", "finetune"]
    assert {"transfer", "spectrum", "logme"} <= set(cfg.analysis.measures)


@pytest.mark.parametrize("name", sorted(LAYERS))
def test_an_experiment_on_layers_is_the_papers(name: str) -> None:
    cfg, (role, over) = composed(f"experiment=goerttler_{name}"), LAYERS[name]
    check(cfg)
    for training in (cfg.pretrain, cfg.finetune, cfg.scratch):
        assert (training.optimizer, training.lr, training.momentum, training.schedule) == ("sgd", 1e-3, 0.9, "constant")
    assert (cfg.model._target_, cfg.model.width, cfg.model.input.size) == ("models.vision.conv4", 64, 32)
    assert (cfg.data.target.augment, cfg.seeds.data, list(cfg.analysis.measures)) == ("none", 0, ["training", "cka"])
    files = cfg.data.target.files
    if role == "scratch":
        assert list(cfg.interactions.roles) == ["scratch"]
        assert files._target_ == "data.vision.cifar10"
    else:
        assert list(cfg.interactions.roles) == ["pretrain", "finetune"]
        assert (cfg.start.head, cfg.data.source.augment) == ("kept", "none")
        assert cfg.data.source.files._target_ == "data.vision.cifar10"
        assert (files._target_, files.train, files.test) == ("data.halves.halves", 5000, 5000)
        assert files.files._target_ == f"data.vision.{'svhn' if name.endswith('svhn') else 'cifar10'}"
    assert cfg.data.labels.random == (9 if name == "size" else 0)
    assert _swept(f"goerttler_{name}") == {"seed": SEEDS} | over


def test_the_small_experiment_on_layers_has_all_conditions_on_the_same_images() -> None:
    swept = _swept("goerttler_embedded")
    assert swept["seed"] == SEEDS
    tests, found = set(), set()
    for condition in swept["condition"].split(","):
        cfg = composed("experiment=goerttler_embedded", f"condition={condition}")
        check(cfg)
        target, labels = cfg.data.target, cfg.data.labels
        found.add((target._target_.rpartition(".")[2], labels.random, labels.shift, target.train_samples))
        assert target.train_samples + target.skip == 1000, "so that the test images are the same"
        assert cfg.data.source.train_samples <= target.skip, "no image of the pre-training"
        tests.add((target.test_samples, target.seed))
    digits = {("digits", d, 0, 500) for d in (0, 4, 9)} | {("digits", 0, 1, 500)}
    assert found == digits | {("digits", 9, 0, n) for n in (50, 150)} | {("printed_digits", d, 0, 500) for d in (0, 9)}
    assert len(tests) == 1


def _swept(name: str) -> dict[str, str]:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        cfg = compose("config", [f"experiment={name}"], return_hydra_config=True)
    assert cfg.hydra.mode.name == "MULTIRUN"
    return {key: str(values) for key, values in cfg.hydra.sweeper.params.items()}


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
    for name, small in (DEBUGGED | SWEPT | CONDITIONS).items():
        study = Studies(tmp_path_factory.mktemp(name) / "outputs", tmp_path_factory.mktemp(f"{name}_scrap"))
        options = (f"experiment={name}", "debug=tiny", "wandb.mode=disabled", "trainer.accelerator=cpu")
        started[name] = study, study.start(*options, *small, "interactions.device=cpu", tiny=False)
    return started


def test_debugging_runs_a_sweep_over_epochs_from_end_to_end(debugging: dict[str, tuple[Studies, Running]]) -> None:
    (name,) = SWEPT
    study, running = debugging[name]
    result = running.wait(600)
    assert result.code == 0, result.out + result.err
    (run,) = (file.parent for file in (study.output / name).rglob("results.json"))
    said = "synthetic data: these numbers mean nothing"
    assert f'<p class="warning">{said}</p>' in (run / "analysis" / "report.html").read_text()
    assert (run / "analysis" / "verdicts.txt").read_text().startswith(f"{said}\n"), "as on the terminal"
    for measure in ("transfer", "spectrum", "logme"):
        assert _rows(run / "analysis" / "tables" / f"{measure}.csv")
    assert not (run / "interactions").exists()
    assert not (run / "scratch").exists()


def test_debugging_runs_conditions_from_end_to_end(debugging: dict[str, tuple[Studies, Running]]) -> None:
    """Two domains, with labels as they are and random ones; there are no pre-trained weights, and no head to keep."""
    (name,) = CONDITIONS
    study, running = debugging[name]
    result = running.wait(600)
    assert result.code == 0, result.out + result.err
    runs = {file.parent.parent.name: file.parent for file in (study.output / name).rglob("results.json")}
    assert runs.keys() == {"condition=svhn", "condition=random"}
    for run in runs.values():
        assert {row["quantity"] for row in _rows(run / "analysis" / "tables" / "training.csv")} >= {"train_accuracy"}
        assert _rows(run / "analysis" / "tables" / "cka.csv")
        assert not any((run / stage).exists() for stage in ("interactions", "probe", "scratch"))
    assert len({(run / "finetune").resolve() for run in runs.values()}) == 2


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
