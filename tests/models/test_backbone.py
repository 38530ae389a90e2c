import pytest
import torch
from omegaconf import OmegaConf
from torch import nn

from conf.check import BadInput
from models.backbone import Classifier, build
from models.vision import conv4, vit_tiny


@pytest.mark.parametrize("architecture", [conv4, vit_tiny])
def test_features_are_the_input_of_the_last_linear_layer(architecture):
    torch.manual_seed(0)
    network = architecture(num_classes=7).eval()
    last = [layer for layer in network.modules() if isinstance(layer, nn.Linear)][-1]
    nn.init.normal_(last.weight)  # the transformer's is 0 at first
    caught = []
    last.register_forward_pre_hook(lambda _, arguments: caught.append(arguments[0]))
    x = torch.randn(3, 3, 32, 32)
    with torch.no_grad():
        expected = network(x)
        classifier = Classifier(network).eval()
        features, logits = classifier.features(x), classifier(x)
    assert expected.std() > 0.1
    assert torch.equal(features, caught[0])
    assert features.shape == (3, classifier.head.in_features)
    assert torch.equal(classifier.head(features), logits)
    assert torch.equal(logits, expected)


@pytest.mark.parametrize("architecture", [conv4, vit_tiny])
def test_backbone_and_head_hold_every_parameter_once(architecture):
    network = architecture(num_classes=7)
    size = sum(parameter.numel() for parameter in network.parameters())
    classifier = Classifier(network)
    assert sum(parameter.numel() for parameter in classifier.parameters()) == size
    assert {key.split(".")[0] for key in classifier.state_dict()} == {"backbone", "head"}
    assert not [key for key in classifier.backbone.state_dict() if "head" in key]


def test_a_model_without_a_classifier_is_refused():
    for network in (nn.Sequential(nn.Conv2d(3, 8, 3)), nn.Linear(3, 4)):
        with pytest.raises(BadInput, match="no linear layer inside"):
            Classifier(network)


def test_build_makes_as_many_classes_as_asked_for():
    options = OmegaConf.create({"_target_": "models.vision.conv4", "width": 8, "image_size": 16})
    assert build(options, num_classes=5)(torch.zeros(2, 3, 16, 16)).shape == (2, 5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"_target_": "models.vision.conv4", "image_size": 8}, "model.image_size=8 is too small"),
        ({"_target_": "models.vision.conv4", "widht": 8}, "model can't be built.*widht"),
        ({"_target_": "models.vision.nothing"}, "model can't be built"),
    ],
)
def test_a_model_that_cannot_be_built_is_refused(options, message):
    with pytest.raises(BadInput, match=message):
        build(OmegaConf.create(options), num_classes=5)
