"""Every configuration that can be chosen can be run, and what is mistyped is refused before any work."""

import shutil
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.errors import ConfigCompositionException
from omegaconf import OmegaConf

from conf import schema
from conf.check import check, check_length, check_writable
from conf.errors import BadInput
from conf.measures import ours
from data.splits import build as build_data
from models.backbone import build as build_model
from stages.table import STAGES, chosen

CONF = Path(__file__).resolve().parents[1] / "conf"
EXPERIMENTS = sorted(file.stem for file in (CONF / "experiment").glob("*.yaml"))
OPTIONS = [
    (group, file.stem) for group in ("data", "model", "analysis") for file in sorted((CONF / group).glob("*.yaml"))
]
KEYS = dict(schema.keys())
RESULTS = {name for stage in STAGES for name in stage.results}
# What every new key needs: results that it decides, or a place in this list.
DECIDES_NOTHING = {"name", "output", "run_dir", "stages", "plan", "wait", "num_workers"}  # where, what for, how fast
DECIDES_NOTHING |= {"logger", *(f"wandb.{key}" for key in ("mode", "project", "entity", "system"))}
DECIDES_NOTHING |= {f"interactions.{key}" for key in ("engine", "batch_size", "lean", "compile", "processes", "device")}
DECIDES_NOTHING |= {
    f"data.{key}" for key in ("root", "download", "skip_corrupt", "synthetic", "size")
}  # tasks take them
DECIDES_NOTHING |= {"seed", "seeds.data"}  # by other keys, which take their values
DECIDES_NOTHING |= {
    "checkpoints.epochs",
    "interactions.roles",
    "analysis.measures",
}  # what is kept and compared, not how it is computed
DECIDES_NOTHING |= {f"{stage}.shard" for stage in ("interactions", "representations")}
DECIDES_NOTHING |= {path for path in KEYS if path.startswith("cluster.")}
DECIDES_NOTHING |= {"repeat", *(f"interactions.checkpoints.{role}" for role in schema.ROLES)}  # in stages/settings.py

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
    assert cfg.name == {"digits_seeds": "digits", "probe_scale": "digits"}.get(
        name, name
    )  # more runs of the same study


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
    for key in option.keys() - {"defaults"}:
        assert key in cfg[group]
        if isinstance(option[key], str) and "${" not in option[key]:
            assert cfg[group][key] == option[key]


@pytest.mark.parametrize("name", [name for group, name in OPTIONS if group == "analysis"])
def test_all_analysis_options_have_the_same_keys(name):
    keys = OmegaConf.load(CONF / "analysis" / "paper.yaml").keys()
    assert OmegaConf.load(CONF / "analysis" / f"{name}.yaml").keys() == keys


def test_every_key_of_the_schema_has_its_place_and_a_value(default):
    page = OmegaConf.load(CONF / "config.yaml")
    for key in OmegaConf.structured(schema.Config):
        # `data` is both: options, and keys of their own. Without .keys(), ??? counts as absent.
        assert (key in page.keys()) != (CONF / key).is_dir() or key == "data", key  # noqa: SIM118
    assert not OmegaConf.missing_keys(default)


def leaves(node, path=""):
    """The path of every key, but for what is inside of open sections."""
    if path in KEYS or not OmegaConf.is_dict(node):
        return {path}
    return {leaf for key in node for leaf in leaves(node[key], f"{path}.{key}" if path else key)}


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_key_of_a_configuration_is_in_the_schema(name):
    assert leaves(composed(f"experiment={name}")) == KEYS.keys()


@pytest.mark.parametrize("path", KEYS)
def test_what_a_key_decides_is_a_result(path):
    assert set(KEYS[path].decides) <= RESULTS
    assert (KEYS[path].decides == ()) == (path in DECIDES_NOTHING)


@pytest.mark.parametrize("result", sorted(RESULTS))
def test_every_result_is_decided_by_keys(result):
    assert (
        [path for path, _ in schema.deciding(result)] == [path for path in KEYS if result in KEYS[path].decides] != []
    )


@pytest.mark.parametrize("path", [path for path, key in KEYS.items() if key.neutral is not schema.NO_NEUTRAL])
def test_a_neutral_value_is_allowed(default, path):
    check(changed(default, path, KEYS[path].neutral))


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


@pytest.mark.parametrize(("value", "expected"), [
    ("all", [stage.name for stage in STAGES if stage.name != "representations"]), ("finetune", ["finetune"]),
    (["analysis", "probe"], ["probe", "analysis"]),
])  # fmt: skip
def test_the_stages_that_are_asked_for_are_in_order(default, value, expected):
    assert [stage.name for stage in chosen(changed(default, "stages", value))] == expected


@pytest.mark.parametrize(("changes", "expected"), [
    ({"analysis.measures": ["accuracy"]}, ["pretrain", "probe", "finetune", "scratch", "analysis"]),
    ({"analysis.measures": ["accuracy"], "interactions.roles": ["scratch"]}, ["scratch", "analysis"]),
    ({"interactions.roles": ["pretrain", "finetune"]}, ["pretrain", "probe", "finetune", "interactions", "analysis"]),
    ({"interactions.checkpoints.scratch": "a.pt"}, ["pretrain", "probe", "finetune", "interactions", "analysis"]),
    ({"analysis.measures": ["logme"]}, ["pretrain", "probe", "finetune", "representations", "analysis"]),
    ({"analysis.measures": ["logme", "ratio"]}, [stage.name for stage in STAGES]),
])  # fmt: skip
def test_all_stages_are_those_that_lead_to_what_is_measured(default, changes, expected):
    cfg = default
    for key, value in changes.items():
        cfg = changed(cfg, key, value)
    assert [stage.name for stage in chosen(cfg)] == expected


def test_files_of_a_role_that_is_left_out_are_refused(default):
    cfg = changed(changed(default, "interactions.roles", ["pretrain", "finetune"]),
                  "interactions.checkpoints.finetune", "a.pt")  # fmt: skip
    check(cfg)
    message = (
        r"^interactions\.checkpoints\.scratch is given and interactions\.roles=\[pretrain,finetune\] leaves scratch "
    )
    with pytest.raises(BadInput, match=message):
        check(changed(cfg, "interactions.checkpoints.scratch", "b.pt"))


def test_a_place_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(BadInput, match=r"^run_dir=.*: can't write to .*file .*output="):
        check_writable("run_dir", tmp_path / "file" / "in")
    check_writable("output", tmp_path / "new" / "folder")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_name_that_is_too_long_for_a_folder_is_refused(default):
    check_length(changed(default, "run_dir", "a" * 200))
    with pytest.raises(BadInput, match=r"^run_dir=.* is too long for the name of a folder \(201 bytes\)"):
        check_length(changed(default, "run_dir", "a" * 201))


def test_all_measures_of_the_program_are_measured_by_default(default):
    few_are_won, of_features = ["knockout"], ["transfer", "spectrum", "tsne", "logme"]
    of_layers, of_variables = ["cka", "training"], ["attribution"]
    assert sorted([*default.analysis.measures, *few_are_won, *of_features, *of_layers, *of_variables]) == ours()
