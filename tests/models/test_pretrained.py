"""Weights that were made elsewhere, from files in the formats in which they are published."""

import time

import huggingface_hub
import pytest
import safetensors.torch
import torch
from timm import create_model
from torchvision.models import resnet18 as torchvision_resnet18
from transformers import BertConfig, BertForPreTraining

from conf.errors import BadInput
from models import pretrained
from models.backbone import Classifier
from models.text import bert
from models.vision import conv4, resnet18, timm_network

SMALL_BERT = {"vocab_size": 50, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
              "intermediate_size": 32, "max_position_embeddings": 20}  # fmt: skip
NAME = "deit_tiny_patch16_224.fb_in1k"


@pytest.fixture(autouse=True)
def empty_caches(tmp_path, monkeypatch):
    """And no network."""
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hf"))
    monkeypatch.setattr(pretrained, "reachable", lambda url: False)


def equal(left, right):
    return left.keys() == right.keys() and all(torch.equal(left[key], right[key]) for key in left)


def cached(tmp_path, repository):
    """A folder where the hub's library finds what it downloaded from `repository`."""
    base = tmp_path / "hf" / f"models--{repository.replace('/', '--')}"
    (base / "refs").mkdir(parents=True)
    (base / "refs" / "main").write_text("c0ffee")
    (base / "snapshots" / "c0ffee").mkdir(parents=True)
    return base / "snapshots" / "c0ffee"


@pytest.mark.parametrize("legacy", [True, False])
def test_torchvisions_cache(tmp_path, legacy):
    published = torchvision_resnet18(num_classes=1000).state_dict()
    file = tmp_path / "hub" / "checkpoints" / "resnet18-f37072fd.pth"
    file.parent.mkdir(parents=True)
    counters = {key for key in published if key.endswith("num_batches_tracked")}
    stored = {key: tensor for key, tensor in published.items() if key not in counters}  # as old files are
    torch.save(stored, file, _use_new_zipfile_serialization=not legacy)
    model = Classifier(resnet18(7, stem="imagenet"))
    state, source, unexpected = pretrained.backbone(model, "torchvision:ResNet18_Weights.IMAGENET1K_V1")
    assert (source, unexpected) == (file, [])
    model.backbone.load_state_dict(state)
    for key in stored.keys() - {"fc.weight", "fc.bias"}:
        assert torch.equal(model.backbone.state_dict()[key], published[key])


def test_timms_weights_in_the_hubs_cache(tmp_path):
    published = create_model(NAME.split(".")[0], num_classes=1000).state_dict()
    file = cached(tmp_path, f"timm/{NAME}") / "model.safetensors"
    safetensors.torch.save_file(published, file)
    model = Classifier(timm_network(NAME.split(".")[0], 3))
    state, _, unexpected = pretrained.backbone(model, f"timm:{NAME}")
    assert unexpected == []
    assert equal(state, {key: published[key] for key in published if not key.startswith("head.")})


@pytest.mark.parametrize("place", ["folder", "hub"])
def test_transformers_weights_with_the_names_of_the_first_berts(tmp_path, place):
    """google-bert/bert-base-uncased calls the weights of its layer norms gamma and beta, and has heads besides."""
    published = BertForPreTraining(BertConfig(**SMALL_BERT))
    folder = cached(tmp_path, "me/bert") if place == "hub" else tmp_path / "bert"
    published.save_pretrained(folder)
    state = safetensors.torch.load_file(folder / "model.safetensors")
    renamed = {
        key.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): tensor
        for key, tensor in state.items()
    }
    safetensors.torch.save_file(renamed, folder / "model.safetensors", metadata={"format": "pt"})
    model = Classifier(bert(2, **SMALL_BERT))
    found, source, unexpected = pretrained.backbone(model, "transformers:me/bert" if place == "hub" else str(folder))
    assert source == folder
    assert all(key.startswith("cls.") for key in unexpected)
    assert unexpected
    assert equal(found, {f"encoder.{key}": tensor for key, tensor in published.bert.state_dict().items()})


def test_a_pooler_that_is_not_there_is_missing(tmp_path):
    """transformers would fill it with random numbers."""
    BertForPreTraining(BertConfig(**SMALL_BERT)).bert.save_pretrained(tmp_path / "bert")
    state = safetensors.torch.load_file(tmp_path / "bert" / "model.safetensors")
    without = {key: tensor for key, tensor in state.items() if not key.startswith("pooler")}
    safetensors.torch.save_file(without, tmp_path / "bert" / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(
        BadInput, match=r"bert lacks 2 of the \d+ tensors of this backbone \(encoder\.pooler\.dense\.bias"
    ):
        pretrained.backbone(Classifier(bert(2, **SMALL_BERT)), str(tmp_path / "bert"))


def whole(model, file):
    torch.save(model, file)


def cut(model, file):
    torch.save(model.state_dict(), file)
    file.write_bytes(file.read_bytes()[:1000])


@pytest.mark.parametrize(("damage", "said"), [
    (whole, r"pytorch_model\.bin can't be read \(it is a whole pickled model"),
    (cut, r"pytorch_model\.bin can't be read"),
    (None, r"can't be read by transformers \(Error no file named"),
])  # fmt: skip
def test_a_folder_that_transformers_cannot_read_is_refused_in_one_line(tmp_path, damage, said):
    encoder = BertForPreTraining(BertConfig(**SMALL_BERT)).bert
    encoder.config.save_pretrained(tmp_path)
    if damage:
        damage(encoder, tmp_path / "pytorch_model.bin")
    with pytest.raises(BadInput, match=said) as refused:
        pretrained.backbone(Classifier(bert(2, **SMALL_BERT)), str(tmp_path))
    assert not {"\n", "\x1b"} & set(str(refused.value))


def test_a_wrapper_in_a_folder_is_opened(tmp_path):
    encoder = BertForPreTraining(BertConfig(**SMALL_BERT)).bert
    encoder.config.save_pretrained(tmp_path)
    torch.save({"student": encoder.state_dict(), "epoch": 3}, tmp_path / "pytorch_model.bin")
    state, source, _ = pretrained.backbone(Classifier(bert(2, **SMALL_BERT)), str(tmp_path))
    assert source == tmp_path
    assert equal(state, {f"encoder.{key}": tensor for key, tensor in encoder.state_dict().items()})


def network():
    return conv4(10, width=4, image_size=16)


WRAPPED = {
    "as it is": lambda state: state,
    "parallel": lambda state: {f"module.{key}": tensor for key, tensor in state.items()},
    "Lightning": lambda state: {
        "state_dict": {f"model.net.{key}": tensor for key, tensor in state.items()},
        "epoch": 3,
    },
    "ours": lambda state: {
        (f"head.{key[5:]}" if key.startswith("head.") else f"backbone.{key}"): tensor for key, tensor in state.items()
    },
    "without classifier": lambda state: {key: tensor for key, tensor in state.items() if not key.startswith("head.")},
}


@pytest.mark.parametrize("wrapped", WRAPPED)
@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_a_file_of_a_network_in_whatever_wrapper(tmp_path, wrapped, suffix):
    torch.manual_seed(0)
    published = network().state_dict()
    content, file = WRAPPED[wrapped](published), tmp_path / f"weights{suffix}"
    if suffix == ".safetensors":
        safetensors.torch.save_file(content.get("state_dict", content), file)
    else:
        torch.save(content, file)
    state, source, unexpected = pretrained.backbone(Classifier(network()), str(file))
    assert (source, unexpected) == (file, [])
    assert equal(state, {key: published[key] for key in published if not key.startswith("head.")})


def test_heads_of_a_file_are_reported_as_those_of_a_folder_are(tmp_path):
    torch.manual_seed(0)
    BertForPreTraining(BertConfig(**SMALL_BERT)).save_pretrained(tmp_path)
    model = Classifier(bert(2, **SMALL_BERT))
    state, _, unexpected = pretrained.backbone(model, str(tmp_path / "model.safetensors"))
    of_folder, _, of_the_folder = pretrained.backbone(model, str(tmp_path))
    assert equal(state, of_folder)
    assert {key.split(".")[0] for key in unexpected} == {key.split(".")[0] for key in of_the_folder} == {"cls"}


def test_what_is_no_part_of_the_backbone_is_reported(tmp_path):
    torch.save({**network().state_dict(), "projector.weight": torch.ones(3)}, tmp_path / "weights.pt")
    assert pretrained.backbone(Classifier(network()), str(tmp_path / "weights.pt"))[2] == ["projector.weight"]


@pytest.mark.parametrize(("change", "said"), [
    (lambda state: state.pop("block2.0.weight"), r"lacks 1 of the \d+ tensors of this backbone \(block2\.0\.weight\)"),
    (lambda state: state.update({"block2.0.weight": torch.ones(2)}), r"1 tensors differ \(block2\.0\.weight\)"),
    (lambda state: state["block2.0.weight"].fill_(torch.nan), "holds NaN or infinity in block2.0.weight"),
])  # fmt: skip
def test_weights_that_do_not_fit_are_refused(tmp_path, change, said):
    state = network().state_dict()
    change(state)
    torch.save(state, tmp_path / "weights.pt")
    with pytest.raises(BadInput, match=said):
        pretrained.backbone(Classifier(network()), str(tmp_path / "weights.pt"))
    with pytest.raises(BadInput, match=said):
        pretrained.check(Classifier(network()), str(tmp_path / "weights.pt"))


def test_nothing_in_a_file_is_executed(tmp_path):
    torch.save(network(), tmp_path / "whole_model.pt")
    with pytest.raises(BadInput, match=r"whole_model\.pt can't be read \(it is a whole pickled model"):
        pretrained.backbone(Classifier(network()), str(tmp_path / "whole_model.pt"))


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
@pytest.mark.parametrize("share", [0, 0.5, 0.99])
def test_a_truncated_file_is_refused(tmp_path, suffix, share):
    file = tmp_path / f"weights{suffix}"
    save = safetensors.torch.save_file if suffix == ".safetensors" else torch.save
    save(network().state_dict(), file)
    file.write_bytes(file.read_bytes()[: int(share * file.stat().st_size)])
    with pytest.raises(BadInput, match=rf"weights\{suffix} can't be read"):
        pretrained.backbone(Classifier(network()), str(file))


def test_a_folder_without_weights_is_refused(tmp_path):
    with pytest.raises(BadInput, match=r"is a folder without model\.safetensors or pytorch_model\.bin: name a file"):
        pretrained.backbone(Classifier(network()), str(tmp_path))


@pytest.mark.parametrize(("weights", "file", "command"), [
    ("torchvision:VGG16_Weights.IMAGENET1K_V1", "vgg16-397923af.pth", "curl -L --create-dirs -o "),
    ("timm:vit_small_patch16_224.augreg_in1k", "model.safetensors of timm/vit_small_patch16_224.augreg_in1k",
     "hf download timm/vit_small_patch16_224.augreg_in1k model.safetensors"),
    ("transformers:google-bert/bert-base-uncased", "config.json and model.safetensors of google-bert/bert-base-uncased",
     "hf download google-bert/bert-base-uncased config.json model.safetensors"),
])  # fmt: skip
def test_without_file_and_network_it_is_said_what_was_looked_for_and_how_to_get_it(tmp_path, weights, file, command):
    started = time.monotonic()
    with pytest.raises(BadInput) as refused:
        pretrained.check(None, weights)
    assert time.monotonic() - started < 5
    message = str(refused.value)
    assert "\n" not in message
    for part in (weights, file, str(tmp_path), "can't be reached", command):
        assert part in message


@pytest.mark.parametrize(("weights", "said"), [
    ("timm:vit_small_patch16_224", "has no tag, and timm's default may be pre-trained on ImageNet-21k"),
    ("timm:vit_small_patch16_224.augreg_in21k", "is trained on a larger ImageNet than the 1K classes"),
    ("timm:vit_small_patch16_224.augreg_in21k_ft_in1k", "is trained on a larger ImageNet than the 1K classes"),
    ("timm:vit_base_patch16_224.augreg2_in21k_ft_in1k", "is trained on a larger ImageNet than the 1K classes"),
    ("timm:vit_small_patch16_224.nonsense_in1k", "is not known to timm"),
    ("torchvision:ViT_B_16_Weights.IMAGENET1K_SWAG_LINEAR_V1", "is pre-trained on photographs from Instagram"),
    ("torchvision:ResNet50_Weights.DEFAULT", "a full name is expected, such as"),
    ("torchvision:ResNet50_Weights", "a full name is expected, such as"),
    ("torchvision:resnet50", "a full name is expected, such as"),
    ("transformers:a/b/c", "is not the name of a repository on the hub"),
    ("imagenet", "is not a file or folder; it is also not pretrain"),
    ("/no/such/file.pt", "is not a file or folder; it is also not pretrain"),
])  # fmt: skip
def test_what_names_no_weights_is_refused(weights, said):
    with pytest.raises(BadInput, match=said):
        pretrained.located(weights)


def test_what_is_not_here_is_told_without_asking_the_network(tmp_path, monkeypatch):
    monkeypatch.setattr(pretrained, "reachable", None)
    name = "torchvision:ResNet50_Weights.IMAGENET1K_V1"
    assert pretrained.absent(name) == f"{name} was not found on this machine, and will be downloaded, 103 MB"
    for name in (f"timm:{NAME}", "transformers:google-bert/bert-base-uncased"):
        assert pretrained.absent(name) == f"{name} was not found on this machine, and will be downloaded"
    there = tmp_path / "hub" / "checkpoints" / "resnet50-0676ba61.pth"
    there.parent.mkdir(parents=True)
    there.touch()
    assert pretrained.absent("torchvision:ResNet50_Weights.IMAGENET1K_V1") == ""
    assert pretrained.absent(str(there)) == pretrained.absent(f"{there}#teacher") == ""
    assert "is needed when the study is run" in pretrained.absent(f"{there}.pt")
    with pytest.raises(BadInput, match="is not the name of weights"):
        pretrained.absent("torchvision:ResNet50")
