"""Every configuration that can be chosen can be run, and what is mistyped is refused before any work."""

import math
import shutil
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.errors import ConfigCompositionException
from omegaconf import OmegaConf

from conf import schema
from conf.check import CHOICES, MEASURES, RANGES, STAGES, BadInput, check
from data.splits import build as build_data
from models.backbone import build as build_model

CONF = Path(__file__).resolve().parents[1] / "conf"
EXPERIMENTS = sorted(file.stem for file in (CONF / "experiment").glob("*.yaml"))
OPTIONS = [
    (group, file.stem) for group in ("data", "model", "analysis") for file in sorted((CONF / group).glob("*.yaml"))
]

schema.register()


def composed(*overrides, conf=CONF, output="/tmp"):
    with initialize_config_dir(str(conf), version_base="1.3"):
        return compose("config", [f"output={output}", *overrides])


@pytest.fixture(scope="module")
def default():
    return composed()


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_an_experiment_composes_and_bears_its_files_name(name):
    cfg = composed(f"experiment={name}")
    check(cfg)
    assert cfg.name == name


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_an_experiment_opens_as_a_lab_note(name):
    lines = (CONF / "experiment" / f"{name}.yaml").read_text().splitlines()
    assert lines[0] == "# @package _global_"
    end = next(i for i, line in enumerate(lines) if not line.startswith("#"))
    for word in ("# Reproduces:", "# Command:", "# Cost:"):
        assert sum(line.startswith(word) for line in lines[:end]) == 1, word


@pytest.mark.parametrize(("group", "name"), OPTIONS)
def test_an_option_composes_with_the_default_experiment(group, name):
    option = OmegaConf.load(CONF / group / f"{name}.yaml")
    text = group == "model" and "tokenizer" in option.input
    chosen = {"data": "phrases" if text else "digits", group: name}
    cfg = composed(*(f"{key}={value}" for key, value in chosen.items()))
    check(cfg)
    for key in option:
        assert key in cfg[group]
        if isinstance(option[key], str) and "${" not in option[key]:
            assert cfg[group][key] == option[key]


@pytest.mark.parametrize("name", [name for group, name in OPTIONS if group == "analysis"])
def test_all_analysis_options_have_the_same_keys(name):
    keys = OmegaConf.load(CONF / "analysis" / "paper.yaml").keys()
    assert OmegaConf.load(CONF / "analysis" / f"{name}.yaml").keys() == keys


def test_analyses_have_folders_of_their_own():
    names = [OmegaConf.load(CONF / group / f"{name}.yaml").name for group, name in OPTIONS if group == "analysis"]
    assert len(set(names)) == len(names)
    assert not set(names) & (set(STAGES) - {"analysis"})


def test_every_key_of_the_schema_has_its_place_and_a_value(default):
    page = OmegaConf.load(CONF / "config.yaml")
    for key in OmegaConf.structured(schema.Config):
        # `data` is both: options, and keys of their own. Without .keys(), ??? counts as absent.
        assert (key in page.keys()) != (CONF / key).is_dir() or key == "data", key  # noqa: SIM118
    assert not OmegaConf.missing_keys(default)


@pytest.mark.parametrize("override", [
    "sead=1", "finetune.epohcs=3", "interactions.nn=3", "analysis.taau=0.1", "model.widht=8", "trainer.acelerator=cpu",
    "data.target.train_sample=9", "checkpoints.epoch=all", "experimnt=digits", "model=conv5", "experiment=digit",
])  # fmt: skip
def test_a_mistyped_key_or_option_on_the_command_line_is_an_error(override):
    with pytest.raises(Exception, match=r"Could not (override|find)") as refused:
        composed(override)
    assert refused.type.__module__.startswith("hydra.errors")


@pytest.mark.parametrize("override", [
    "finetune.epochs=few", "seed=1.5", "interactions.n=ten", "finetune.lr=fast", "analysis.permutations=1.5",
    "analysis.salient=maybe", "analysis.measures=ratio", "analysis.gallery=2.5",
])  # fmt: skip
def test_a_value_of_another_type_is_an_error(override):
    with pytest.raises(ConfigCompositionException):
        composed(override)


@pytest.fixture
def experiment(tmp_path):
    """experiment(text): the configuration with an experiment file of this content."""
    conf = shutil.copytree(CONF, tmp_path / "conf")

    def make(text):
        (conf / "experiment" / "mine.yaml").write_text(f"# @package _global_\nname: mine\n{text}\n")
        return composed("experiment=mine", conf=conf, output=tmp_path)

    return make


def build(cfg):
    """All that is refused before any work."""
    check(cfg)
    for task in ("source", "target"):
        build_model(cfg.model, len(build_data(cfg.data[task], f"data.{task}").classes))


def test_an_experiment_file_changes_what_it_says(experiment):
    cfg = experiment("finetune: {epochs: 7}\nanalysis: {tau: 0.5}\nmodel: {width: 8}")
    build(cfg)
    assert (cfg.finetune.epochs, cfg.scratch.epochs, cfg.analysis.tau, cfg.model.width) == (7, 7, 0.5, 8)


@pytest.mark.parametrize("line", [
    "sead: 1", "finetun: {epochs: 3}", "finetune: {epohcs: 3}", "interactions: {nn: 3}", "probe: {l3: 1}",
    "wandb: {modus: offline}", "checkpoints: {epoch: all}", "model: {widht: 8}", "data: {target: {train_sample: 9}}",
    "data: {targett: {train_samples: 9}}", "analysis: {taau: 0.1}",
])  # fmt: skip
def test_a_mistyped_key_in_an_experiment_file_is_an_error_before_any_work(experiment, line):
    with pytest.raises((ConfigCompositionException, BadInput)):
        build(experiment(line))


def changed(cfg, key, value):
    other = cfg.copy()
    OmegaConf.update(other, key, value)
    return other


@pytest.mark.parametrize("key", RANGES)
def test_a_number_has_a_range(default, key):
    low, high = RANGES[key]
    value = OmegaConf.select(default, key, throw_on_missing=True)
    assert low <= value <= high
    outside = [low - 1] if high == math.inf else [low - 1, high + 1]
    for number in outside:
        with pytest.raises(BadInput, match=rf"^{key}={number}(\.0)? is not allowed: a number (from|of at least) {low}"):
            check(changed(default, key, number))


@pytest.mark.parametrize("key", CHOICES)
def test_a_choice_lists_what_is_allowed(default, key):
    assert OmegaConf.select(default, key, throw_on_missing=True) in CHOICES[key]
    for allowed in CHOICES[key]:
        check(changed(default, key, allowed))
    with pytest.raises(BadInput, match=f"^{key}=other is not known; allowed: {CHOICES[key][0]}, "):
        check(changed(default, key, "other"))


def test_every_number_has_a_range_and_every_word_a_choice(default):
    """Of those that the schema knows and are neither true or false, nor a list, nor a name."""
    free = {"interactions.device", "wandb.project", "wandb.entity", "checkpoints.epochs", "analysis.name"}
    free |= {f"interactions.{key}" for key in ("stop_words", "roles", "checkpoints", "batch_size", "compile")}
    free |= {f"analysis.{key}" for key in ("measures", "salient", "empty_set", "normalise")}
    sections = ("pretrain", "probe", "finetune", "scratch", "interactions", "analysis", "wandb", "checkpoints")
    keys = {f"{section}.{key}" for section in sections for key in default[section]}
    assert keys - free == {key for key in RANGES.keys() | CHOICES.keys() if key.split(".")[0] in sections}


@pytest.mark.parametrize(("key", "value", "message"), [
    ("stages", [], "stages="), ("stages", ["pretrain", "fine"], "stages=fine is not known; allowed: pretrain"),
    ("analysis.measures", ["ratios"], "analysis.measures=ratios"), ("analysis.measures", [], "analysis.measures="),
    ("interactions.roles", [], "interactions.roles="),
    ("interactions.roles", ["scratch", "probe"], "interactions.roles=probe is not known; allowed: pretrain, finetune"),
    ("checkpoints.epochs", "some", "checkpoints.epochs=some"), ("checkpoints.epochs", [-1], "checkpoints.epochs="),
    ("name", "???", "name has no value"),
    ("interactions.grid", "???", "interactions.grid has no value"), ("finetune.lr", math.nan, "finetune.lr=nan"),
])  # fmt: skip
def test_what_cannot_be_run_is_refused(default, key, value, message):
    with pytest.raises(BadInput, match=message):
        check(changed(default, key, value))


def test_files_of_a_role_that_is_left_out_are_refused(default):
    cfg = changed(changed(default, "interactions.roles", ["pretrain", "finetune"]),
                  "interactions.checkpoints.finetune", "a.pt")  # fmt: skip
    check(cfg)
    message = (
        r"^interactions\.checkpoints\.scratch is given and interactions\.roles=\[pretrain,finetune\] leaves scratch "
    )
    with pytest.raises(BadInput, match=message):
        check(changed(cfg, "interactions.checkpoints.scratch", "b.pt"))


def test_an_output_that_cannot_be_written_is_refused(default, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(BadInput, match=r"can't write to .*file .*output="):
        check(changed(default, "output", str(tmp_path / "file")))


def test_checking_leaves_nothing_behind(default, tmp_path):
    check(changed(default, "output", str(tmp_path / "new" / "folder")))
    assert list(tmp_path.iterdir()) == []


def test_all_measures_are_known_by_the_analysis(default):
    assert set(default.analysis.measures) == set(MEASURES)
