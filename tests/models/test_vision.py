import pytest
import torch
from torch import nn

from models.vision import conv4, vit_tiny


def size(model):
    return sum(parameter.numel() for parameter in model.parameters())


def test_conv4_has_the_parameters_it_says():
    assert size(conv4(num_classes=10)) == 115_658
    assert size(conv4(num_classes=62)) - size(conv4(num_classes=10)) == 52 * (256 + 1)


@pytest.mark.parametrize("image_size", [16, 32, 40])
def test_conv4_is_four_blocks_whatever_the_image_size(image_size):
    model = conv4(num_classes=5, width=8, image_size=image_size)
    kinds = [type(layer) for layer in model.modules()]
    assert [kinds.count(kind) for kind in (nn.Conv2d, nn.BatchNorm2d, nn.ReLU, nn.MaxPool2d, nn.Linear)] == [4] * 4 + [
        1
    ]
    assert model(torch.zeros(2, 3, image_size, image_size)).shape == (2, 5)


def test_vit_tiny_sees_each_token_of_the_image():
    torch.manual_seed(0)
    model = vit_tiny(num_classes=5, image_size=16, patch_size=4, dim=16, depth=2, heads=2).eval()
    nn.init.normal_(model.heads.head.weight)
    x = torch.randn(1, 3, 16, 16, requires_grad=True)
    model(x)[0, 0].backward()
    assert (x.grad.abs().sum(1) > 0).all()
    assert model.encoder.pos_embedding.shape == (1, 4 * 4 + 1, 16)
