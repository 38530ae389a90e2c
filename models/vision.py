"""Small vision architectures for small images."""

from collections import OrderedDict

from torch import nn
from torchvision.models import VisionTransformer

from conf.check import BadInput


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
