"""Which layers of a network are compared unless the user names some: its blocks, wherever a library nests them."""

import pytest
import torchvision
from torch import nn

from conf.errors import BadInput
from models import text, vision
from models.backbone import Classifier
from models.blocks import chosen

SMALL_BERT = {"vocab_size": 50, "hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2,
              "intermediate_size": 8, "max_position_embeddings": 16}  # fmt: skip
PERCEPTRON = (nn.Flatten(), nn.Linear(12, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 3))


@pytest.mark.parametrize(("network", "layers"), [
    (lambda: vision.conv4(3, width=4), [f"block{at}" for at in (1, 2, 3, 4)]),
    (lambda: vision.resnet18(3, "cifar"), [f"layer{at}" for at in (1, 2, 3, 4)]),
    (lambda: vision.vit_tiny(3), [f"encoder.layers.encoder_layer_{at}" for at in range(4)]),
    (lambda: torchvision.models.mobilenet_v3_small(num_classes=3), [f"features.{at}" for at in range(13)]),
    (lambda: torchvision.models.alexnet(num_classes=3), ["features.2", "features.5", "features.12"]),  # its poolings
    (lambda: text.bert(3, "cls", **SMALL_BERT), [f"encoder.encoder.layer.{at}" for at in (0, 1)]),
    (lambda: nn.Sequential(*PERCEPTRON), ["1", "3"]),
])  # fmt: skip
def test_the_blocks_and_the_logits(network, layers) -> None:
    assert chosen(Classifier(network()).backbone, None) == [*layers, "logits"]


def test_layers_are_named_by_patterns_of_their_own_depth() -> None:
    backbone = Classifier(vision.resnet18(3, "cifar")).backbone
    assert chosen(backbone, ["logits", "layer*"]) == ["layer1", "layer2", "layer3", "layer4", "logits"]
    assert chosen(backbone, "layer2.*") == ["layer2.0", "layer2.1"]
    assert chosen(backbone, ["fc", "layer4"]) == ["layer4", "logits"], "the classifier's own name"
    with pytest.raises(BadInput, match=r"no layer layer9.*it has conv1, bn1"):
        chosen(backbone, ["layer9"])
