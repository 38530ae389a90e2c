"""Layers by their names: which there are, how wide they are, which are refused."""

import pytest
import torch
from torch import nn

from conf.errors import BadInput
from models.backbone import Classifier, Probed
from models.layers import Watched, check, names_of, pooled
from models.vision import conv4, resnet18, vit_tiny


@pytest.fixture
def model():
    torch.manual_seed(0)
    return Classifier(conv4(3, width=8, image_size=16))


IMAGES = torch.zeros(2, 3, 16, 16)


@pytest.mark.parametrize(("pool", "widths"), [("mean", [8, 8]), ("none", [8, 8 * 4 * 4])])
def test_the_width_of_a_layer_is_known_before_anything_is_computed(model, pool, widths):
    assert check(model, ["penultimate", "block2"], pool, IMAGES) == widths


def test_a_layer_that_is_not_there_is_refused_with_those_that_are(model):
    with pytest.raises(BadInput, match=r"the model has no layer block9; it has penultimate, block1, .* block4"):
        check(model, ["block9"], "mean", IMAGES)
    assert "block1.0" in names_of(model)
    with pytest.raises(BadInput, match="no layer source_logits"):
        check(model, ["source_logits"], "mean", IMAGES)


def test_a_layer_that_the_pass_does_not_call_is_refused():
    network = resnet18(3, "cifar")
    network.idle = nn.Identity()
    with pytest.raises(BadInput, match="does not call the layer idle"):
        check(Classifier(network, ["fc"]), ["idle"], "mean", IMAGES)


def test_tokens_are_averaged_over_their_places():
    torch.manual_seed(0)
    model = Classifier(vit_tiny(3, image_size=16))
    assert check(model, ["encoder.layers.encoder_layer_1"], "mean", IMAGES) == [64]
    tokens = torch.randn(2, 5, 7)
    assert torch.equal(pooled(tokens, "mean"), tokens.mean(1))
    assert pooled(tokens, "none").shape == (2, 35)


def test_nothing_is_left_in_the_network(model):
    with Watched(model.eval(), ["block1"], "mean") as watched:
        watched(IMAGES)
    assert not any(layer._forward_hooks for layer in model.modules())


def test_a_probed_model_has_the_same_layers(model):
    probed = Probed(model, 8, 5)
    assert check(probed, ["penultimate", "block3"], "mean", IMAGES) == [8, 8]
