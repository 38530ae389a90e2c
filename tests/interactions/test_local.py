import random

import numpy as np
import pytest
import torch
from torch import nn

from interactions import layout
from interactions.local import Local
from interactions.masking import masked, membership
from models.backbone import Classifier
from models.vision import conv4, resnet18, torchvision_network

TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-12}


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


def random_layers(draw: random.Random, channels: int) -> tuple[list[nn.Module], int]:
    """Some layers of one random kind, and the number of their channels."""
    after, kind = draw.choice((4, 6)), draw.randrange(6)
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
    """A network of five random kinds of layers, fewer if the maps become too small, as if trained."""
    draw = random.Random(seed)
    torch.manual_seed(seed)
    layers, channels, x = [], shape[0], torch.zeros(1, *shape)
    for _ in range(5):
        more, after = random_layers(draw, channels)
        try:
            x = nn.Sequential(*more).eval()(x)
        except RuntimeError:  # nothing is left of the map
            break
        layers, channels = layers + more, after
    model = Classifier(nn.Sequential(*layers, nn.Flatten(), nn.Linear(x.numel(), 3)))
    return trained(model)


def trained(model: Classifier) -> Classifier:
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.2)
            nn.init.uniform_(module.running_var, 0.5, 2)
            nn.init.uniform_(module.weight, -1.5, 1.5)
            nn.init.normal_(module.bias, std=0.2)
    return model.eval()


def patches(height: int, width: int, n: int, seed: int) -> torch.Tensor:
    """n rectangles anywhere, some of them in several pieces because others lie on them: [1, height, width]."""
    draw = np.random.default_rng(seed)
    owner = torch.full((1, height, width), -1)
    for variable in range(n):
        y, x = draw.integers(height - 3), draw.integers(width - 3)
        owner[0, y : y + draw.integers(1, 6), x : x + draw.integers(1, 6)] = variable
    return owner


@torch.inference_mode()
def brute_force(
    model: nn.Module, image: torch.Tensor, baseline: torch.Tensor, owner: torch.Tensor, n: int
) -> torch.Tensor:
    x = masked(image[None], baseline, membership(owner)[None], torch.arange(2**n))
    return model(x)


def sample(shape: tuple[int, int, int], n: int, seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(seed)
    return torch.randn(shape), torch.randn(shape), patches(*shape[1:], n, seed)


def assert_close(found: torch.Tensor, expected: torch.Tensor) -> None:
    assert found.shape == expected.shape
    assert found.dtype == expected.dtype
    assert (found - expected).abs().max() <= TOLERANCE[found.dtype] * expected.abs().max()


def agrees(model: nn.Module, shape: tuple[int, int, int], n: int, seed: int = 0, **options: int) -> Local:
    """Asserts that the logits are those of brute force; options: of `Local.plan`."""
    dtype = next(model.parameters()).dtype
    image, baseline, owner = sample(shape, n, seed)
    image, baseline = image.to(dtype), baseline.to(dtype)
    engine = Local(model, shape)
    assert engine.reason is None
    found = engine.logits(engine.plan(owner, n, **options), image, baseline)
    assert_close(found, brute_force(model, image, baseline, owner, n))
    return engine


@pytest.fixture
def all_local(monkeypatch):
    """Everything that can run on tiles does."""
    monkeypatch.setattr(layout, "_dense_cost", lambda *_: 1e30)


@pytest.mark.parametrize("sides", [layout.TILES, (1,), (2, 4, 8), (3, 6, 12)])
@pytest.mark.parametrize("seed", range(12))
def test_random_networks(all_local, monkeypatch, seed, sides):
    monkeypatch.setattr(layout, "TILES", sides)
    shape = (3, 16 + seed % 5, 18 - seed % 3)
    model = random_model(seed, shape).to(torch.float64 if seed % 2 else torch.float32)
    engine = agrees(model, shape, n=1 + seed % 5, seed=seed)
    assert engine.network.stop == (f"backbone.{len(model.backbone) - 2}", "it is no layer of feature maps")


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
    assert plan.dense_from[1] == "whole maps take less from there"
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


class Branches(nn.Module):
    """A network whose layers are given, and what is done with them."""

    def __init__(self, forward, **layers: nn.Module) -> None:
        super().__init__()
        self.layers, self.rule = nn.ModuleDict(layers), forward
        self.head = nn.LazyLinear(3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.rule(self.layers, x).flatten(1))


def conv(before: int = 3, after: int = 3, **options: object) -> nn.Conv2d:
    return nn.Conv2d(before, after, 3, padding=1, **options)


RULES = {  # a network, and the layer and the reason with which it turns dense
    "a sum of three": (lambda m, x: m.a(x) + m.b(x) + x, {"a": conv(), "b": conv()}, ("flatten", "no layer")),
    "twice the same": (lambda m, x: torch.relu(m.a(x)).add(m.a(x)), {"a": conv()}, ("flatten", "no layer")),
    "a sum with itself": (lambda m, x: (y := m.a(x)) + y, {"a": conv()}, ("flatten", "no layer")),
    "functions": (
        lambda m, x: torch.nn.functional.max_pool2d(m.a(x).relu(), 2),
        {"a": conv()},
        ("flatten", "no layer"),
    ),
    "read before and after": (lambda m, x: (y := m.a(x)) + torch.tanh(y), {"a": conv()}, ("flatten", "no layer")),
    "a product": (lambda m, x: m.b(m.a(x) * x), {"a": conv(), "b": conv()}, ("mul", "several maps")),
    "overwritten": (
        lambda m, x: m.r(y := m.a(x)) + y,
        {"a": conv(), "r": nn.ReLU(inplace=True)},
        ("layers.r", "overwrites"),
    ),
    "overwritten under another name": (
        lambda m, x: m.r(m.i(y := m.a(x))) + y,
        {"a": conv(), "r": nn.ReLU(inplace=True), "i": nn.Identity()},
        ("layers.i", "overwrites"),
    ),
    "another padding": (
        lambda m, x: m.b(m.a(x)),
        {"a": conv(), "b": conv(padding_mode="circular")},
        ("layers.b", "circular"),
    ),
    "groups of channels": (
        lambda m, x: m.g(m.a(x)),
        {"a": conv(), "g": nn.GroupNorm(1, 3)},
        ("layers.g", "no known layer"),
    ),
    "statistics of the batch": (
        lambda m, x: m.n(m.a(x)),
        {"a": conv(), "n": nn.InstanceNorm2d(3)},
        ("layers.n", "no known layer"),
    ),
    "uneven averages": (
        lambda m, x: m.p(m.a(x)),
        {"a": conv(), "p": nn.AvgPool2d(3, 2, 1, count_include_pad=False)},
        ("layers.p", "different numbers"),
    ),
    "uneven windows": (
        lambda m, x: m.p(m.a(x)),
        {"a": conv(), "p": nn.AdaptiveAvgPool2d(5)},
        ("layers.p", "different sizes"),
    ),
    "the whole map": (lambda m, x: m.p(m.a(x)), {"a": conv(), "p": nn.AdaptiveAvgPool2d(1)}, ("flatten", "no layer")),
    "two strides": (lambda m, x: m.b(m.a(x)), {"a": conv(), "b": conv(stride=(1, 2))}, ("layers.b", "strides")),
    "same": (lambda m, x: m.a(x), {"a": nn.Conv2d(3, 3, (4, 3), padding="same", dilation=2)}, ("flatten", "no layer")),
}


@pytest.mark.parametrize("name", RULES)
def test_what_cannot_be_tiled_runs_densely_and_says_why(all_local, name):
    torch.manual_seed(0)
    rule, layers, (where, why) = RULES[name]
    model = Branches(rule, **layers)
    model(torch.zeros(1, 3, 12, 12))
    engine = agrees(model.double().eval(), (3, 12, 12), n=3)
    stop, reason = engine.network.stop
    assert stop == where
    assert why in reason


def test_hooks_are_not_overlooked(all_local):
    torch.manual_seed(0)
    model = Branches(lambda m, x: m.b(m.a(x)), a=conv(), b=conv())
    model.layers.b.register_forward_hook(lambda module, inputs, output: output**2)
    model(torch.zeros(1, 3, 12, 12))
    assert agrees(model.eval(), (3, 12, 12), n=3).network.stop == ("layers.b", "it has hooks")


def overwriting(layers: nn.ModuleDict, x: torch.Tensor) -> torch.Tensor:
    y = z = layers.a(x)
    y += x  # of z, too, which is not what a trace says
    return y * z


def branching(layers: nn.ModuleDict, x: torch.Tensor) -> torch.Tensor:
    return layers.a(x) if x.sum() > 0 else x


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        (branching, "can't be traced"),
        (overwriting, "do something else"),
        (lambda m, x: x.flatten(2), "no layer of feature maps"),
    ],
)
def test_a_model_with_no_local_part_says_so(rule, reason):
    model = Branches(rule, a=conv())
    model(torch.zeros(1, 3, 12, 12))
    assert reason in Local(model.eval(), (3, 12, 12)).reason
