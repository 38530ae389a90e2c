"""Vision architectures with random weights: small ones for small images, and those of torchvision and timm."""

from collections import OrderedDict
from typing import Annotated

import torchvision
from torch import nn
from torchvision.models import VisionTransformer

from conf.allowed import Choice, Number, Text
from conf.errors import BadInput

NAME = Text("the name of an architecture")


def conv4(
    num_classes: int,
    width: Annotated[int, Number(1, 4096)] = 64,
    image_size: Annotated[int, Number(16, 4096)] = 32,
    channels: Annotated[int, Number(1, 4096)] = 3,
) -> nn.Module:
    """Returns a network of four blocks [3x3 convolution, batch-norm, ReLU, 2x2 max-pool] and a linear layer.

    It has 115,658 parameters for width 64, 32x32 RGB images and 10 classes. Four poolings need at least 16 pixels.
    """
    blocks = OrderedDict()
    for block in range(4):
        blocks[f"block{block + 1}"] = nn.Sequential(
            nn.Conv2d(channels if block == 0 else width, width, kernel_size=3, padding=1),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.MaxPool2d(2),
        )
    side = image_size // 16
    blocks["flatten"] = nn.Flatten()
    blocks["head"] = nn.Linear(width * side * side, num_classes)
    return nn.Sequential(blocks)


def vit_tiny(
    num_classes: int,
    image_size: Annotated[int, Number(1, 4096)] = 32,
    patch_size: Annotated[int, Number(1, 4096)] = 4,
    dim: Annotated[int, Number(1, 16384)] = 64,
    depth: Annotated[int, Number(1, 256)] = 4,
    heads: Annotated[int, Number(1, 256)] = 4,
) -> nn.Module:
    """Returns a small vision transformer of torchvision; its feature is the class token after the last layer-norm."""
    return VisionTransformer(
        image_size=image_size,
        patch_size=patch_size,
        num_layers=depth,
        num_heads=heads,
        hidden_dim=dim,
        mlp_dim=4 * dim,
        num_classes=num_classes,
    )


def torchvision_network(name: Annotated[str, NAME], num_classes: int, **options: object) -> nn.Module:
    """Returns an architecture of torchvision by its name there, with random weights."""
    if name not in torchvision.models.list_models(module=torchvision.models):
        raise BadInput(f"model.name={name} is not a classifier of torchvision; see torchvision.models.list_models()")
    return torchvision.models.get_model(name, weights=None, num_classes=num_classes, **options)


def timm_network(name: Annotated[str, NAME], num_classes: int, **options: object) -> nn.Module:
    """Returns an architecture of timm by its name there, without a tag, with random weights."""
    import timm  # takes a second, and most models do not need it

    if not timm.is_model(name) or "." in name:
        raise BadInput(f"model.name={name} is not an architecture of timm; see timm.list_models()")
    return timm.create_model(name, pretrained=False, num_classes=num_classes, **options)


def resnet18(num_classes: int, stem: Annotated[str, Choice(("imagenet", "cifar"))]) -> nn.Module:
    """Returns torchvision's ResNet-18. stem: imagenet: 7x7 with stride 2, then max-pooling; cifar: 3x3 and no
    pooling."""
    network = torchvision.models.resnet18(num_classes=num_classes)
    if stem == "cifar":
        network.conv1 = nn.Conv2d(3, 64, kernel_size=3, padding=1, bias=False)
        nn.init.kaiming_normal_(network.conv1.weight, mode="fan_out", nonlinearity="relu")
        network.maxpool = nn.Identity()
    return network
