import argparse
import io
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.serialization import get_safe_globals, safe_globals
from transformers import BertConfig, BertForSequenceClassification

from conf.errors import BadInput
from models.backbone import Classifier
from models.text import bert
from models.vision import conv4
from models.weights import INERT, as_classifier, load, load_backbone, part, read

FILE = Path("outputs/digits/finetune/checkpoints/epoch_003.pt")
SMALL_BERT = {"vocab_size": 50, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
              "intermediate_size": 32, "max_position_embeddings": 20}  # fmt: skip


def network():
    return conv4(10, width=4, image_size=16)


def classifier(seed, width=8, classes=3):
    torch.manual_seed(seed)
    return Classifier(conv4(classes, width, image_size=16))


def equal(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


def test_load_sets_everything():
    model, other = classifier(0), classifier(1)
    other(torch.randn(4, 3, 16, 16))  # moves the running statistics, which are buffers
    assert not equal(model.state_dict(), other.state_dict())
    load(model, other.state_dict(), FILE)
    assert equal(model.state_dict(), other.state_dict())


def test_load_backbone_leaves_the_head_as_it_is():
    model, other = classifier(0, classes=3), classifier(1, classes=7)
    head = {key: tensor.clone() for key, tensor in model.head.state_dict().items()}
    load_backbone(model, other.state_dict(), FILE)
    assert equal(model.backbone.state_dict(), other.backbone.state_dict())
    assert equal(model.head.state_dict(), head)


def test_part_is_a_submodules_state():
    model = classifier(0)
    assert equal(part(model.state_dict(), "head"), model.head.state_dict())
    assert equal(part(model.state_dict(), "backbone"), model.backbone.state_dict())


def missing_one(state):
    del state["head.bias"]


def one_too_many(state):
    state["head.scale"] = torch.ones(1)


def another_shape(state):
    state["head.weight"] = state["head.weight"][:, :2]


def other_classes(state):
    state["head.weight"], state["head.bias"] = state["head.weight"][:2], state["head.bias"][:2]


def test_another_number_of_classes_is_named():
    state = dict(classifier(1).state_dict())
    other_classes(state)
    with pytest.raises(
        BadInput, match=rf"^{FILE} has 2 classes and the task {len(classifier(0).head.bias)}: check data="
    ):
        load(classifier(0), state, FILE)


@pytest.mark.parametrize("damage", [missing_one, one_too_many, another_shape])
def test_weights_of_another_model_are_refused(damage):
    model, state = classifier(0), dict(classifier(1).state_dict())
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    damage(state)
    with pytest.raises(BadInput, match=rf"{FILE} belongs to another model: 1 tensors differ \(head\."):
        load(model, state, FILE)
    assert equal(model.state_dict(), before)


def test_another_width_is_refused():
    with pytest.raises(BadInput, match=rf"{FILE} belongs to another model"):
        load(classifier(0), classifier(1, width=9).state_dict(), FILE)
    with pytest.raises(BadInput, match=rf"{FILE} belongs to another model"):
        load_backbone(classifier(0), {}, FILE)


@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("key", ["head.bias", "backbone.block1.1.running_var"])
def test_weights_that_are_not_finite_are_refused(bad, key):
    state = classifier(1).state_dict()
    state[key].view(-1)[0] = bad
    with pytest.raises(BadInput, match=rf"{FILE} holds NaN or infinity in {key}"):
        load(classifier(0), state, FILE)


@pytest.mark.parametrize("wrapper", ["", "model.", "module."])
def test_a_classifier_of_transformers_has_our_names(wrapper):
    """Its encoder has a prefix that its head has not."""
    theirs = BertForSequenceClassification(BertConfig(**SMALL_BERT, num_labels=3))
    model = Classifier(bert(3, **SMALL_BERT))
    state = {f"{wrapper}{key}": tensor for key, tensor in theirs.state_dict().items()}
    found = as_classifier(model, state)
    load(model, found, FILE)
    assert torch.equal(model.head.weight, theirs.classifier.weight)
    assert torch.equal(model.backbone.encoder.pooler.dense.bias, theirs.bert.pooler.dense.bias)


def test_what_is_unknown_keeps_its_name():
    state = {f"module.{key}": tensor for key, tensor in network().state_dict().items()}
    found = as_classifier(Classifier(network()), state | {"averaged": torch.ones(1), "module.teacher": torch.ones(1)})
    assert found.keys() - Classifier(network()).state_dict().keys() == {"averaged", "module.teacher"}


def test_names_by_the_thousand_are_no_hang():
    state = {f"a{i}.b.weight": torch.ones(1) for i in range(6000)}
    assert len(as_classifier(Classifier(network()), state)) >= len(state)


@pytest.mark.parametrize("content", [{1: torch.ones(1)}, {"a": 1}, [torch.ones(1)], {"model": {"a": "b"}}])
def test_what_is_no_state_dict_is_refused(tmp_path, content):
    torch.save(content, tmp_path / "a.pt")
    with pytest.raises(BadInput, match=r"a\.pt is not a plain state dict"):
        read(tmp_path / "a.pt")


BESIDE = {  # what programs keep beside weights
    "arguments": argparse.Namespace(lr=0.1, layers=[1, 2], more=argparse.Namespace(name="a")),
    "numbers": {"best": np.float64(1), "epoch": np.int64(3), "last": np.float32(2), "done": np.bool_(True)},
    "arrays": [np.arange(3), np.ones((2, 2), dtype=np.float32), np.array(["a", "b"])],
}


@pytest.mark.parametrize("new", [True, False], ids=["new", "before torch 1.6"])
@pytest.mark.parametrize("kind", BESIDE)
def test_what_lies_beside_weights_and_can_run_nothing_is_no_hindrance(tmp_path, kind, new):
    state = {"a": torch.randn(2)}
    torch.save({"model": state, "beside": BESIDE[kind]}, tmp_path / "a.pt", _use_new_zipfile_serialization=new)
    found = read(tmp_path / "a.pt")
    assert found.keys() == {"model.a"}
    assert torch.equal(found["model.a"], state["a"])
    assert argparse.Namespace not in get_safe_globals()


def test_numbers_of_numpy_before_its_second_version():
    content = pickle.dumps({"best": np.float64(1), "all": np.arange(3)}, protocol=2)
    old = content.replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    assert old != content
    with safe_globals(INERT):
        assert torch._weights_only_unpickler.load(io.BytesIO(old))["best"] == 1
