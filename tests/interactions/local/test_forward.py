import random

import pytest
import torch
from tiled import agrees, assert_close, brute_force, patches, sample, trained
from torch import nn
from torchvision.ops import FrozenBatchNorm2d

from interactions.local import layout
from interactions.local.forward import Local
from models.backbone import Classifier
from models.vision import conv4, resnet18, torchvision_network


class Residual(nn.Module):
    """Two convolutions beside a shortcut, which is another convolution where the shapes differ."""

    def __init__(self, before: int, after: int, stride: int, inplace: bool) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(before, after, 3, stride, 1, bias=False),
            nn.BatchNorm2d(after),
            nn.ReLU(inplace),
            nn.Conv2d(after, after, 3, padding=1),
            nn.BatchNorm2d(after),
        )
        same = stride == 1 and before == after
        self.shortcut = nn.Identity() if same else nn.Conv2d(before, after, 1, stride)
        self.act = nn.ReLU(inplace)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.act(self.body(x) + self.shortcut(x))


class Standardised(nn.Module):
    """By two buffers, the second of them in an expression of its own."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.randn(channels, 1, 1))
        self.register_buffer("variance", torch.rand(1, channels, 1, 1) + 0.5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (x - self.mean) / (self.variance + 1e-5).sqrt()


class StandardisedWeights(nn.Conv2d):
    """A convolution with a function of its parameter, and its output gated by another."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__(before, after, 3, padding=1)
        self.gate = nn.Parameter(torch.randn(after))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        weight = self.weight - self.weight.mean((1, 2, 3), keepdim=True)
        return nn.functional.conv2d(x, weight, self.bias, padding=1) * torch.sigmoid(self.gate)[:, None, None]


class Concatenated(nn.Module):
    """A map beside what two convolutions make of it, one of them depthwise."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.a = nn.Conv2d(channels, 2, 3, padding=1)
        self.b = nn.Conv2d(channels, channels, 5, padding=2, groups=channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([self.a(x), x, torch.relu(self.b(x))], dim=1)


class OverChannels(nn.Module):
    """A layer-norm over the channels of each cell and a linear layer, as in ConvNeXt."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm, self.mix = nn.LayerNorm(channels), nn.Linear(channels, 2 * channels)
        self.back, self.scale = nn.Linear(2 * channels, channels), nn.Parameter(torch.randn(channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.back(nn.functional.gelu(self.mix(self.norm(x.permute(0, 2, 3, 1)))))
        return x + (self.scale * y).permute(0, 3, 1, 2)


def random_layers(draw: random.Random, channels: int) -> tuple[list[nn.Module], int]:
    """Some layers of one random kind, and the number of their channels."""
    after, kind = draw.choice((4, 6)), draw.randrange(10)
    if kind == 5:
        return [nn.Conv2d(channels, after, 3, padding=1), FrozenBatchNorm2d(after), nn.ReLU()], after
    if kind == 6:
        return [Standardised(channels), StandardisedWeights(channels, after), nn.SiLU(inplace=True)], after
    if kind == 7:
        return [Concatenated(channels), FrozenBatchNorm2d(2 * channels + 2)], 2 * channels + 2
    if kind == 8:
        return [OverChannels(channels)], channels
    if kind == 0:
        kernel = draw.choice(((1, 1), (3, 3), (5, 3), (2, 2)))
        padding = (draw.randint(0, 2), draw.randint(0, 2))
        groups = 2 if channels % 2 == 0 and draw.random() < 0.3 else 1
        conv = nn.Conv2d(channels, after, kernel, draw.randint(1, 2), padding, draw.randint(1, 2), groups)
        return [conv, nn.BatchNorm2d(after), nn.ReLU(inplace=draw.random() < 0.5)], after
    if kind == 1:
        return [nn.MaxPool2d(3, 2, padding=1, ceil_mode=draw.random() < 0.5)], channels
    if kind == 2:
        return [nn.MaxPool2d(2, ceil_mode=draw.random() < 0.5)], channels
    if kind == 3:
        return [nn.AvgPool2d(3, draw.randint(1, 2), padding=1), nn.BatchNorm2d(channels), nn.GELU()], channels
    return [Residual(channels, after, draw.randint(1, 2), inplace=draw.random() < 0.5)], after


def random_model(seed: int, shape: tuple[int, int, int]) -> Classifier:
    """A network of six random kinds of layers, fewer if the maps become too small, as if trained."""
    draw = random.Random(seed)
    torch.manual_seed(seed)
    layers, channels, x = [], shape[0], torch.zeros(1, *shape)
    for _ in range(6):
        more, after = random_layers(draw, channels)
        try:
            x = nn.Sequential(*more).eval()(x)
        except RuntimeError:  # nothing is left of the map
            break
        layers, channels = layers + more, after
    model = Classifier(nn.Sequential(*layers, nn.Flatten(), nn.Linear(x.numel(), 3)))
    return trained(model)


@pytest.mark.parametrize("sides", [layout.TILES, (1,), (2, 4, 8), (3, 6, 12)])
@pytest.mark.parametrize("seed", range(16))
def test_random_networks(all_local, monkeypatch, seed, sides):
    monkeypatch.setattr(layout, "TILES", sides)
    shape = (3, 16 + seed % 5, 18 - seed % 3)
    model = random_model(seed, shape).to(torch.float64 if seed % 2 else torch.float32)
    engine = agrees(model, shape, n=1 + seed % 5, seed=seed)
    assert engine.network.stop == (f"backbone.{len(model.backbone) - 2}", "its result is not a feature map")


NETWORKS = {
    "conv4": (lambda: conv4(5, width=4), 32),
    "cifar resnet18": (lambda: resnet18(5, "cifar"), 8),
    "resnet18": (lambda: resnet18(5, "imagenet"), 24),
    "resnet50": (lambda: torchvision_network("resnet50", 5), 32),
    "vgg11_bn": (lambda: torchvision_network("vgg11_bn", 5), 32),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_known_networks_are_local_as_far_as_they_have_maps(all_local, name):
    make, side = NETWORKS[name]
    torch.manual_seed(0)
    model = trained(Classifier(make()))
    engine = agrees(model, (3, side, side), n=3)
    layers = [node.target for layer in engine.network.layers for node in layer.nodes]
    convolutions = [name for name, module in model.named_modules() if isinstance(module, nn.Conv2d)]
    assert set(convolutions) <= set(layers)


def test_cheap_parts_alone_are_local_when_that_is_cheapest():
    torch.manual_seed(0)
    model = trained(Classifier(conv4(5, width=16)))
    engine = agrees(model, (3, 32, 32), n=8)
    plan = engine.plan(patches(32, 32, 8, 0), 8)
    assert 0 < len(plan.layers) < len(engine.network.layers)
    assert plan.dense_from[1] == "whole maps are faster from there on"
    assert plan.dense_cost / plan.local_cost == plan.predicted_speedup > 1


def test_maps_that_do_not_fit_in_memory_are_left_to_the_dense_part():
    torch.manual_seed(0)
    model = trained(Classifier(conv4(5, width=16)))
    shape, n = (3, 32, 32), 8
    engine, (image, baseline, owner) = Local(model, shape), sample(shape, n, 0)
    free = engine.plan(owner, n)
    tight = engine.plan(owner, n, memory=free.layout.bytes - 1)
    assert 0 < len(tight.layers) < len(free.layers)
    assert tight.layout.bytes < free.layout.bytes
    assert_close(engine.logits(tight, image, baseline), engine.logits(free, image, baseline))
    assert not engine.plan(owner, n, memory=10).layers
    with pytest.raises(ValueError, match="MiB"):
        engine.logits(engine.plan(owner, n, memory=10), image, baseline)


def test_the_size_of_chunks_changes_nothing():
    torch.manual_seed(0)
    model = trained(Classifier(conv4(5, width=4))).double()
    shape, n = (3, 32, 32), 6
    image, baseline, owner = sample(shape, n, 1)
    engine = Local(model, shape)
    plan = engine.plan(owner, n)
    whole, pieces = (engine.logits(plan, image.double(), baseline.double(), chunk=size) for size in (2**30, 5000))
    assert_close(pieces, whole)


def test_a_plan_serves_weights_that_are_loaded_later():
    torch.manual_seed(0)
    model, other = trained(Classifier(conv4(5, width=4))), trained(Classifier(conv4(5, width=4)))
    shape, n = (3, 32, 32), 5
    image, baseline, owner = sample(shape, n, 1)
    engine = Local(model, shape)
    plan = engine.plan(owner, n)
    model.load_state_dict(other.state_dict())
    assert_close(engine.logits(plan, image, baseline), brute_force(other, image, baseline, owner, n))
