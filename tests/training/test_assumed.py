"""What a plan puts in the place of files that are not here."""

import json
from collections.abc import Callable
from pathlib import Path

import huggingface_hub
import pytest
import torch
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf

from conf import schema
from conf.errors import BadInput
from models.backbone import build
from stages import table
from stages.identity import results_of
from stages.need import Need
from stages.runner import check
from training import assumed as module
from training.assumed import assumed

CONF = Path(__file__).resolve().parents[2] / "conf"

schema.register()


@pytest.fixture(autouse=True)
def _nothing_is_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hf"))


@pytest.fixture
def study(tmp_path: Path) -> Callable[..., DictConfig]:
    def composed(*overrides: str) -> DictConfig:
        places = [f"output={tmp_path}/outputs", f"run_dir={tmp_path}/outputs/run", f"data.root={tmp_path}"]
        with initialize_config_dir(str(CONF), version_base="1.3"):
            return compose("config", [*places, "trainer.accelerator=cpu", "interactions.device=cpu", *overrides])

    return composed


def needs(cfg: DictConfig, of: DictConfig) -> dict[str, Need]:
    """By name of a stage: of the results of one configuration, checked with another."""
    return {stage.name: need for stage, need in check(cfg, results_of(of), list(table.STAGES)).items()}


@pytest.mark.parametrize(("options", "size"), [
    ((), {"train": 100, "test": 800, "classes": 10}),
    (("experiment=phrases",), {"train": 400, "test": 800, "classes": 2, "tokens": 14}),
])  # fmt: skip
def test_with_a_stand_in_every_stage_needs_what_it_needs_with_the_data(study, monkeypatch, options, size):
    cfg = study(*options)
    real = needs(cfg, cfg)

    def refuse(*_: object) -> None:
        raise BadInput("no file")

    monkeypatch.setattr(module, "build", refuse)
    cfg.data.size = size
    with assumed(cfg) as (there, lines):
        assert there.data.target._target_ == "data.stand_in.task"
        assert needs(there, cfg) == real
    assert len(lines) == 1
    assert real["interactions"].masked > 250_000
    assert not Path(cfg.output).exists()


def test_what_is_here_is_left_as_it_is(study):
    cfg = study()
    with assumed(cfg) as (there, lines):
        assert lines == []
        assert OmegaConf.to_container(there, resolve=True) == OmegaConf.to_container(cfg, resolve=True)
    cfg = study("data=folder", "model=conv4")
    with assumed(cfg) as (there, lines):  # the stages refuse it, those that need it
        assert lines == []
        assert there.data.target == cfg.data.target


def test_a_source_task_that_is_not_here_is_planned_by_its_own_size(study):
    imagenet = ("data=digits", "source@data.source=imagenet", "model=conv4")
    cfg = study(*imagenet, "data.source.train_samples=2000")
    with assumed(cfg) as (there, lines):
        assert (there.data.source.train, there.data.source.test, there.data.source.classes) == (2000, 50000, 1000)
        assert lines[0].startswith("data: folder can't be read here")
        assert lines[0].endswith("assumed: 2,000 training and 50,000 test images, 1000 classes")
        assert len(lines) == 1
        assert needs(there, cfg)["pretrain"].trained == 2000 * cfg.pretrain.epochs
    cfg = study(*imagenet, "model.weights=scratch")
    with assumed(cfg) as (_, lines):
        assert lines == [], "nothing is trained on it"
    cfg = study(*imagenet, "~data.source.size")
    with assumed(cfg) as (there, lines):
        assert (lines, there.data.source.files.path) == ([], "imagenet")


def test_a_draw_of_the_samples_is_planned_as_such(study):
    cfg = study("data=cub200", "model=conv4", "data.target.train_samples=50")
    with assumed(cfg) as (there, lines):
        assert (there.data.target.train, there.data.target.test) == (50, 5794)
        assert "assumed: 50 training and 5,794 test images, 200 classes" in lines[0]
    cfg.data.target.train_samples = 6000
    with pytest.raises(BadInput, match=r"train_samples=6000 is not allowed: there are 5,994"), assumed(cfg):
        pass


def test_weights_that_are_not_here_are_random_ones(study):
    cfg = study("data=cub200", "model=resnet18", "model.weights=/not/here.pt")
    with assumed(cfg) as (there, lines):
        assert lines[1] == "weights: /not/here.pt was not found, and is needed when the study is run"
        assert there.model == {**cfg.model, "weights": "scratch"}
    cfg = study("data=cub200", "model=resnet18", "model.weights=torchvision:ResNet18_Weights.DEFAULT")
    with pytest.raises(BadInput, match="is not the name of weights"), assumed(cfg):
        pass


def test_sizes_of_an_encoder_that_are_here_are_taken_without_its_weights(study, tmp_path):
    cfg = study("experiment=sst2_bert", f"model.weights={tmp_path}/encoder", "+model.num_hidden_layers=1")
    (tmp_path / "encoder").mkdir()
    (tmp_path / "encoder" / "config.json").write_text(json.dumps({"hidden_size": 24, "num_attention_heads": 2}))
    with assumed(cfg) as (there, _):
        assert there.model.weights == str(tmp_path / "encoder"), "a folder: what is wrong with it the stages say"
    cfg.model.weights = f"{tmp_path}/encoder/model.safetensors"
    with assumed(cfg) as (there, lines):
        assert len(lines) == 2
        assert build(there.model, 2).head.in_features == 24


def test_made_up_files_and_the_hub_are_as_before_afterwards(study):
    cfg = study("data=cifar10", "model=conv4", "data.synthetic=1", "data.download=true")
    before = huggingface_hub.constants.HF_HUB_OFFLINE
    with assumed(cfg) as (there, lines):
        assert (lines, there.data.download, huggingface_hub.constants.HF_HUB_OFFLINE) == ([], False, True)
        scrap = Path(there.data.root)
        assert scrap.exists()
    assert not scrap.exists()
    assert huggingface_hub.constants.HF_HUB_OFFLINE is before
    assert cfg.data.download, "the user's own configuration is not changed"
