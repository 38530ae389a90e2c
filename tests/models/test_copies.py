"""Files that hold several models: the user says which."""

import shlex

import pytest
import torch
from hydra.core.override_parser.overrides_parser import OverridesParser
from transformers import BertConfig, BertForSequenceClassification, BertModel

from conf.errors import BadInput
from models import pretrained
from models.backbone import Classifier
from models.copies import chosen, copies
from models.text import bert
from models.vision import conv4
from models.weights import as_classifier, load, read
from stages.address import Address

SMALL_BERT = {"vocab_size": 50, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
              "intermediate_size": 32, "max_position_embeddings": 20}  # fmt: skip


def network():
    return conv4(3, width=4, image_size=16)


def weights(seed):
    torch.manual_seed(seed)
    return network().state_dict()


def under(prefix, state):
    return {f"{prefix}{key}": tensor for key, tensor in state.items()}


CENTRE = {"dino_loss": {"center": torch.ones(1, 9)}, "epoch": 3, "args": {"lr": 0.1}}
ADAM = {"optimizer": {"state": {i: {"step": torch.ones(1), "exp_avg": torch.ones(99, 9)} for i in range(9)}}}
# content of a file, name of the model with seed 1 in it, name of the one with seed 2
SEVERAL = {
    "entries": (lambda: {"student": weights(1), "teacher": weights(2), **CENTRE, **ADAM}, "student", "teacher"),
    "wrapped entries": (
        lambda: {"student": {"state_dict": weights(1)}, "teacher": {"state_dict": under("module.", weights(2))}},
        "student", "teacher"),
    "averaged": (lambda: {"state_dict": weights(1), "state_dict_ema": weights(2), **ADAM}, "state_dict",
                 "state_dict_ema"),
    "entry of a model": (lambda: {"model": weights(1), "model_ema": {"module": weights(2)}}, "model", "model_ema"),
    "flat": (lambda: under("student.", weights(1)) | under("teacher.", weights(2)), "student", "teacher"),
    "flat, of unequal depth": (
        lambda: under("model.", weights(1)) | under("ema.module.", weights(2)), "model", "ema.module"),
    "flat, without a prefix": (lambda: weights(1) | under("ema.", weights(2)), ".", "ema"),
    "in a wrapper": (lambda: {"state_dict": weights(1) | under("ema.", weights(2)), "epoch": 3}, ".", "ema"),
    "of contrastive training": (
        lambda: {"state_dict": under("module.encoder_q.", weights(1)) | under("module.encoder_k.", weights(2))},
        "encoder_q", "module.encoder_k"),
    "heads missing": (
        lambda: {name: {k: t for k, t in under("net.backbone.", weights(seed)).items() if ".head." not in k}
                 for name, seed in (("online", 1), ("target", 2))}, "online", "target"),
}  # fmt: skip


def saved(tmp_path, content):
    file = tmp_path / "a.pt"
    torch.save(content, file)
    return file


@pytest.mark.parametrize("kind", SEVERAL)
def test_of_several_models_one_must_be_named(tmp_path, kind):
    make, *names = SEVERAL[kind]
    file, model = saved(tmp_path, make()), Classifier(network())
    with pytest.raises(BadInput, match="holds several models") as refused:
        pretrained.backbone(model, str(file))
    assert "\n" not in str(refused.value)
    for seed, name in enumerate(names, 1):
        state, source, _ = pretrained.backbone(model, f"{file}#{name}")
        assert source == file
        wanted = weights(seed)
        assert all(torch.equal(tensor, wanted[key]) for key, tensor in state.items())


def test_the_message_lists_the_names_and_a_line_that_can_be_pasted(tmp_path):
    file = saved(tmp_path, {"student": weights(1), "teacher": weights(2), **CENTRE})
    with pytest.raises(BadInput) as refused:
        pretrained.check(Classifier(network()), str(file))
    message = str(refused.value)
    assert "holds several models: student, teacher; choose" in message
    (typed,) = shlex.split(message.partition("such as ")[2])
    (override,) = OverridesParser.create().parse_overrides([typed])
    assert (override.key_or_group, override.value()) == ("model.weights", f"{file}#student")
    pretrained.check(Classifier(network()), override.value())


@pytest.mark.parametrize("kind", SEVERAL)
def test_a_name_that_is_not_in_the_file_is_refused(tmp_path, kind):
    make, *names = SEVERAL[kind]
    file = saved(tmp_path, make())
    with pytest.raises(BadInput, match="contains no model momentum") as refused:
        pretrained.backbone(Classifier(network()), f"{file}#momentum")
    assert all(name.split(".")[-1] in str(refused.value) or name == "ema.module" for name in names)


def test_no_copy_without_a_prefix(tmp_path):
    file = saved(tmp_path, under("student.", weights(1)))
    with pytest.raises(BadInput, match=r"contains no model \., but student; "):
        pretrained.backbone(Classifier(network()), f"{file}#.")


@pytest.mark.parametrize("content", [
    lambda: {"net": weights(1), **CENTRE, **ADAM},
    lambda: {"anything": {"at_all": weights(1)}},
    lambda: under("student.", weights(1)),
    lambda: {"backbone": {k: t for k, t in weights(1).items() if "head" not in k},
             "head": {k.removeprefix("head."): t for k, t in weights(1).items() if "head" in k}},
    lambda: {"model": weights(1), "same": weights(1)},
    lambda: {"model": weights(1), "larger": conv4(3, width=8, image_size=16).state_dict()},
    lambda: {"model": weights(1), "part": {"block1.0.weight": torch.ones(4, 3, 3, 3)}},
])  # fmt: skip
def test_one_model_is_taken_whatever_its_name(tmp_path, content):
    model, file = Classifier(network()), saved(tmp_path, content())
    address = Address(file)
    state = as_classifier(model, chosen(model, read(file), address))
    load(model, {key: tensor for key, tensor in state.items() if key in model.state_dict()}, file)
    assert torch.equal(model.head.weight, weights(1)["head.weight"])
    assert torch.equal(model.backbone.state_dict()["block4.0.weight"], weights(1)["block4.0.weight"])


@pytest.mark.parametrize("prefix", ["", "bert."])
def test_a_prefix_that_belongs_to_the_model_is_no_name_of_a_copy(tmp_path, prefix):
    """Of an encoder, whose tensors have one prefix anyway, the copy without another one is "."."""
    states = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        states.append(under(prefix or "encoder.", BertModel(BertConfig(**SMALL_BERT)).state_dict()))
    file = saved(tmp_path, states[0] | under("ema.", states[1]))
    model = Classifier(bert(3, **SMALL_BERT))
    for name, wanted in zip((".", "ema"), states, strict=True):
        state, *_ = pretrained.backbone(model, f"{file}#{name}")
        key = "embeddings.word_embeddings.weight"
        assert torch.equal(state[f"encoder.{key}"], wanted[(prefix or "encoder.") + key])


def test_a_file_with_one_model_and_no_prefix_is_that_copy(tmp_path):
    for content in (weights(1), {"state_dict": weights(1)}):
        file = saved(tmp_path, content)
        state, *_ = pretrained.backbone(Classifier(network()), f"{file}#.")
        assert torch.equal(state["block1.0.weight"], weights(1)["block1.0.weight"])


def test_a_file_may_have_the_sign_in_its_name(tmp_path):
    torch.save(weights(1), tmp_path / "a.pt#student")
    torch.save({"student": weights(2), "teacher": weights(3)}, tmp_path / "a.pt")
    state, source, _ = pretrained.backbone(Classifier(network()), f"{tmp_path}/a.pt#student")
    assert source == tmp_path / "a.pt#student"
    assert torch.equal(state["block1.0.weight"], weights(1)["block1.0.weight"])


def test_the_head_is_that_of_the_model_that_was_named(tmp_path):
    """An encoder's prefix is not its head's."""
    theirs = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        theirs.append(BertForSequenceClassification(BertConfig(**SMALL_BERT, num_labels=3)))
    file = saved(tmp_path, {"student": theirs[0].state_dict(), "teacher": theirs[1].state_dict()})
    for name, wanted in zip(("student", "teacher"), theirs, strict=True):
        model = Classifier(bert(3, **SMALL_BERT))
        state = as_classifier(model, chosen(model, read(file), Address(file, name)))
        load(model, state, file)
        assert torch.equal(model.head.weight, wanted.classifier.weight)
        assert torch.equal(model.backbone.encoder.pooler.dense.weight, wanted.bert.pooler.dense.weight)


def test_models_of_models_are_named_by_their_whole_path(tmp_path):
    content = {name: {"model": weights(i), "ema": weights(i + 1)} for i, name in ((1, "student"), (3, "teacher"))}
    file, model = saved(tmp_path, content), Classifier(network())
    assert list(copies(model, read(file))) == ["student.model.", "student.ema.", "teacher.model.", "teacher.ema."]
    with pytest.raises(BadInput, match=r"several models: student\.model, student\.ema; .*a\.pt#student\.model"):
        pretrained.backbone(model, f"{file}#student")
    state, _, unexpected = pretrained.backbone(model, f"{file}#teacher.ema")
    assert torch.equal(state["block1.0.weight"], weights(4)["block1.0.weight"])
    assert unexpected == []
