import pytest
import torch
from torch import nn

from conf.errors import BadInput
from models.vision import conv4, resnet18, timm_network, torchvision_network, vit_tiny


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


@pytest.mark.parametrize(("stem", "size", "before_the_first_block"), [("cifar", 32, 32), ("imagenet", 64, 16)])
def test_the_stem_of_resnet18(stem, size, before_the_first_block):
    network = resnet18(10, stem).eval()
    seen = []
    network.layer1.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].shape[-1]))
    assert network(torch.zeros(1, 3, size, size)).shape == (1, 10)
    assert seen == [before_the_first_block]


@pytest.mark.parametrize(("make", "said"), [
    (lambda: torchvision_network("resnet5", 10), r"model\.name=resnet5 is not a classifier of torchvision"),
    (lambda: timm_network("vit_small_patch16_224.augreg_in21k", 10), r"is not an architecture of timm"),
])  # fmt: skip
def test_what_there_is_not_is_refused(make, said):
    with pytest.raises(BadInput, match=said):
        make()
