"""Source tasks that are chosen by name, as somebody does who has a target task alone."""

from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf
from omegaconf.errors import ConfigAttributeError
from PIL import Image

from conf import schema
from conf.errors import BadInput
from conf.sources import named_source, no_source
from data.splits import build

CONF = Path(__file__).resolve().parents[2] / "conf"
NAMES = sorted(file.stem for file in (CONF / "source").glob("*.yaml"))
MODEL = {"glyphs": "conv4", "fixed_glyphs": "conv4", "hidden_word": "bert_tiny", "cifar10": "conv4"}

schema.register()


def composed(*overrides, **options):
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose("config", list(overrides), **options)


def named(*overrides):
    cfg = composed(*overrides)
    named_source(cfg)
    return cfg


def content(cfg):
    return OmegaConf.to_container(cfg.data.source, resolve=True)


@pytest.mark.parametrize("name", MODEL)
def test_a_name_stands_for_a_task_that_can_be_built(name, tmp_path):
    places = (f"data.root={tmp_path}", "data.synthetic=1")
    cfg = named("data=folder", f"model={MODEL[name]}", f"data.source={name}", "seeds.data=7", *places)
    assert cfg.data.source.seed == 7
    assert len(build(cfg.data.source, "data.source").classes) == {"hidden_word": 24, "cifar10": 10}.get(name, 62)
    with pytest.raises(ConfigAttributeError):  # it is closed, as all else is
        cfg.data.source.sead = 3


def test_imagenet_is_a_folder_of_ones_own_in_the_layout_of_its_archives(tmp_path):
    for split in ("train", "val"):
        for name in ("n01440764", "n01443537"):
            (tmp_path / "imagenet" / split / name).mkdir(parents=True)
            Image.new("RGB", (300, 260)).save(tmp_path / "imagenet" / split / name / f"{name}_1.JPEG", "jpeg")
    source = named("data=folder", "model=resnet18", "data.source=imagenet", f"data.root={tmp_path}").data.source
    splits = build(source, "data.source")
    assert (len(splits.train), len(splits.test), splits.classes) == (2, 2, ("n01440764", "n01443537"))
    assert source.files.keys() == {"_target_", "root", "path"}
    assert set(NAMES) == {*MODEL, "imagenet", "digits"}


@pytest.mark.parametrize(
    ("data", "model", "name"), [("digits", "conv4", "glyphs"), ("phrases", "bert_tiny", "hidden_word")]
)
def test_data_that_come_with_the_program_have_the_same_task(data, model, name):
    own = composed(f"data={data}", f"model={model}")
    assert content(own) == content(named(f"data={data}", f"model={model}", f"data.source={name}"))
    assert content(own) == content(named("data=folder", f"model={model}", f"+source@data.source={name}"))


@pytest.mark.parametrize("overrides", [
    ("data.source.train_samples=64",), ("data=folder", "+source@data.source=glyphs", "data.source.train_samples=64"),
])  # fmt: skip
def test_settings_of_the_source_task_can_be_changed(overrides):
    cfg = named(*overrides)
    assert content(cfg) == content(composed()) | {"train_samples": 64}
    assert len(build(cfg.data.source, "data.source").train) == 64


def test_what_is_no_name_stays_as_it_is():
    written_out = ("data=folder", "data.source={_target_: mine.task, samples: 3}")
    for overrides in ((), ("data=folder",), ("data.source=null",), written_out):
        assert named(*overrides) == composed(*overrides)


@pytest.mark.parametrize("name", ["glyph", "3", "../source/glyphs", "mnist"])
def test_a_name_that_there_is_not_is_refused_with_those_there_are(name):
    there = ", ".join(NAMES)
    message = rf"^data.source={name} is unknown; allowed: {there}, null; another one is a file source/NAME"
    with pytest.raises(BadInput, match=message):
        named("data=folder", f"data.source={name}")


@pytest.fixture
def own_folder(tmp_path, monkeypatch):
    """own_folder(name): the configuration with a user's folder on the search path and this source task chosen."""
    (tmp_path / "source").mkdir()
    where = f"hydra.searchpath=[file://{tmp_path}]"

    def chosen(name):
        whole = composed(where, "data=folder", f"data.source={name}", return_hydra_config=True)
        monkeypatch.setattr(HydraConfig.instance(), "cfg", OmegaConf.masked_copy(whole, "hydra"))
        cfg = composed(where, "data=folder", f"data.source={name}")
        named_source(cfg)
        return cfg

    return chosen


def test_a_folder_of_ones_own_has_more_names(tmp_path, own_folder):
    (tmp_path / "source" / "mine.yaml").write_text("{_target_: mine.task, side: '${model.input.size}'}")
    assert content(own_folder("mine")) == {"_target_": "mine.task", "side": 32}
    with pytest.raises(BadInput, match=f"allowed: {', '.join(sorted([*NAMES, 'mine']))}, null"):
        own_folder("other")


def test_the_programs_own_files_go_first(tmp_path, own_folder):
    (tmp_path / "source" / "glyphs.yaml").write_text("{_target_: mine.task}")
    assert content(own_folder("glyphs")) == content(composed())


@pytest.mark.parametrize(("text", "message"), [
    ("{a: [1", r"can't be read \(.*\): fix it$"), ("samples: 3", "has no _target_: "), ("[1, 2]", "has no _target_: "),
    ("", "has no _target_: "),
])  # fmt: skip
def test_a_file_without_a_task_is_refused_in_one_line(tmp_path, own_folder, text, message):
    file = tmp_path / "source" / "mine.yaml"
    file.write_text(text)
    with pytest.raises(BadInput, match=rf"^{file} {message}") as refused:
        own_folder("mine")
    assert "\n" not in str(refused.value)


def test_data_without_a_source_task_are_told_what_there_is():
    line = str(no_source())
    for choice in (
        "data.source=glyphs",
        "data.source=hidden_word",
        "model.weights=scratch",
        "torchvision:",
        "/path/to/",
    ):
        assert choice in line
    assert {f"data.source={name}" for name in NAMES} > {
        word for word in line.split() if word.startswith("data.source=")
    }
    assert "\n" not in line
