"""Sizes of an encoder from the config.json beside its weights."""

import json

import huggingface_hub
import pytest
import torch
from omegaconf import OmegaConf
from transformers import BertConfig, BertModel, DistilBertConfig, DistilBertModel

from conf.errors import BadInput
from models import pretrained
from models.backbone import build
from models.sizes import sizes

BERT = {
    "vocab_size": 50,
    "hidden_size": 16,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "max_position_embeddings": 20,
    "hidden_act": "relu",
    "layer_norm_eps": 1.0,
}
DISTILBERT = {"vocab_size": 50, "dim": 16, "n_layers": 3, "n_heads": 2, "hidden_dim": 32, "dropout": 0.5}


@pytest.fixture(autouse=True)
def empty_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hf"))


def options(kind, weights, **others):
    return OmegaConf.create({"_target_": f"models.text.{kind}", "pool": "cls", "weights": str(weights), **others})


@pytest.fixture
def folder(tmp_path):
    BertModel(BertConfig(**BERT)).save_pretrained(tmp_path / "bert")
    return tmp_path / "bert"


@pytest.mark.parametrize("place", ["folder", "file", "hub"])
@pytest.mark.parametrize("kind", ["bert", "distilbert"])
def test_the_encoder_has_the_sizes_of_its_weights(tmp_path, kind, place):
    config, network = (BertConfig(**BERT), BertModel) if kind == "bert" else (
        DistilBertConfig(**DISTILBERT), DistilBertModel)  # fmt: skip
    folder = tmp_path / "there"
    if place == "hub":
        base = tmp_path / "hf" / "models--me--small"
        folder = base / "snapshots" / "c0ffee"
        (base / "refs").mkdir(parents=True)
        (base / "refs" / "main").write_text("c0ffee")
    network(config).save_pretrained(folder)
    weights = {"folder": folder, "file": folder / "model.safetensors", "hub": "transformers:me/small"}[place]
    for classes in (2, 5):
        model = build(options(kind, weights), num_classes=classes)
        assert model.head.out_features == classes
    state, *_ = pretrained.backbone(model, str(weights))
    model.backbone.load_state_dict(state)
    ids, theirs = torch.tensor([[2, 7, 8, 3]]), network.from_pretrained(folder).eval()
    with torch.no_grad():
        torch.testing.assert_close(model.eval().features(ids), theirs(input_ids=ids).last_hidden_state[:, 0])


def test_what_is_set_by_hand_goes_first(folder):
    model = build(options("bert", folder, num_hidden_layers=1, hidden_act="gelu"), num_classes=2)
    config = model.backbone.encoder.config
    assert (config.num_hidden_layers, config.hidden_act, config.hidden_size) == (1, "gelu", 16)


@pytest.mark.parametrize("weights", ["pretrain", "scratch", "transformers:me/absent", "transformers:a/b/c", "/no/such"])
def test_without_a_config_nothing_changes(weights):
    assert sizes(options("bert", weights)) == {}


def test_other_models_and_folders_have_no_sizes(folder, tmp_path):
    assert sizes(OmegaConf.create({"_target_": "models.vision.conv4", "weights": str(folder)})) == {}
    assert sizes(options("bert", tmp_path)) == {}


def test_another_kind_of_model_is_refused(folder):
    there = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(there | {"model_type": "roberta"}))
    with pytest.raises(BadInput, match=r"bert is of the kind roberta .* this model of the kind bert") as refused:
        build(options("bert", folder), num_classes=2)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("text", ["{", "[1]", ""])
def test_a_damaged_config_is_refused(folder, text):
    (folder / "config.json").write_text(text)
    with pytest.raises(BadInput, match=r"config\.json can't be read"):
        build(options("bert", folder), num_classes=2)


def test_nothing_in_a_config_is_executed(folder):
    there = json.loads((folder / "config.json").read_text())
    there |= {"_target_": "builtins.print", "hidden_act": {"_target_": "builtins.print"}, "pool": "max"}
    (folder / "config.json").write_text(json.dumps(there))
    assert not {"_target_", "hidden_act", "pool", "dropout"} & sizes(options("bert", folder)).keys()
