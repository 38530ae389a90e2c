"""Vision architectures, with random weights: small ones for small images, and those of torchvision and timm."""

from collections import OrderedDict

import torchvision
from torch import nn
from torchvision.models import VisionTransformer

from conf.errors import BadInput


def conv4(num_classes: int, width: int = 64, image_size: int = 32, channels: int = 3) -> nn.Module:
    """Four times [3x3 convolution, batch-norm, ReLU, 2x2 max-pool], then a linear layer.

    115,658 parameters for width 64, 32x32 RGB images and 10 classes.
    """
    if image_size < 16:
        raise BadInput(f"model.image_size={image_size} is too small for conv4: four poolings need at least 16")
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
    num_classes: int, image_size: int = 32, patch_size: int = 4, dim: int = 64, depth: int = 4, heads: int = 4
) -> nn.Module:
    """torchvision's vision transformer, small; its feature is the class token after the last layer-norm."""
    return VisionTransformer(
        image_size=image_size,
        patch_size=patch_size,
        num_layers=depth,
        num_heads=heads,
        hidden_dim=dim,
        mlp_dim=4 * dim,
        num_classes=num_classes,
    )


def torchvision_network(name: str, num_classes: int, **options: object) -> nn.Module:
    """An architecture of torchvision by its name there, with random weights."""
    if name not in torchvision.models.list_models(module=torchvision.models):
        raise BadInput(f"model.name={name} is no classifier of torchvision; see torchvision.models.list_models()")
    return torchvision.models.get_model(name, weights=None, num_classes=num_classes, **options)


def timm_network(name: str, num_classes: int, **options: object) -> nn.Module:
    """An architecture of timm by its name there, without a tag, with random weights."""
    import timm  # takes a second, and most models are not its

    if not timm.is_model(name) or "." in name:
        raise BadInput(f"model.name={name} is no architecture of timm; see timm.list_models()")
    return timm.create_model(name, pretrained=False, num_classes=num_classes, **options)


def resnet18(num_classes: int, stem: str) -> nn.Module:
    """torchvision's ResNet-18. stem: imagenet: 7x7 of stride 2, then max-pooling; cifar: 3x3 and no pooling."""
    if stem not in ("imagenet", "cifar"):
        raise BadInput(f"model.stem={stem} is not known; allowed: imagenet, cifar")
    network = torchvision.models.resnet18(num_classes=num_classes)
    if stem == "cifar":
        network.conv1 = nn.Conv2d(3, 64, kernel_size=3, padding=1, bias=False)
        nn.init.kaiming_normal_(network.conv1.weight, mode="fan_out", nonlinearity="relu")
        network.maxpool = nn.Identity()
    return network
