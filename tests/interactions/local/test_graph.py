"""What a traced network has of layers that can be tiled, and that all else runs densely."""

import pytest
import torch
from tiled import agrees
from torch import nn

from interactions.local.forward import Local


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
    "a sum of three": (lambda m, x: m.a(x) + m.b(x) + x, {"a": conv(), "b": conv()}, ("flatten", "not a feature map")),
    "twice the same": (lambda m, x: torch.relu(m.a(x)).add(m.a(x)), {"a": conv()}, ("flatten", "not a feature map")),
    "a sum with itself": (lambda m, x: (y := m.a(x)) + y, {"a": conv()}, ("flatten", "not a feature map")),
    "functions": (
        lambda m, x: torch.nn.functional.max_pool2d(m.a(x).relu(), 2),
        {"a": conv()},
        ("flatten", "not a feature map"),
    ),
    "read before and after": (
        lambda m, x: (y := m.a(x)) + torch.tanh(y),
        {"a": conv()},
        ("flatten", "not a feature map"),
    ),
    "a product": (lambda m, x: m.b(m.a(x) * x), {"a": conv(), "b": conv()}, ("flatten", "not a feature map")),
    "squeeze and excitation": (
        lambda m, x: m.b((y := m.a(x)) * torch.sigmoid(y.mean((2, 3), keepdim=True))),
        {"a": conv(), "b": conv()},
        ("mean", "several cells"),
    ),
    "excitation by a pooled map": (
        lambda m, x: m.b((y := m.a(x)) * torch.sigmoid(nn.functional.adaptive_avg_pool2d(y, 1))),
        {"a": conv(), "b": conv()},
        ("mul", "different sizes"),
    ),
    "a shape that is asked for": (
        lambda m, x: m.b(y := m.a(x)).reshape(y.shape[0], 1, -1, y.size(3)),
        {"a": conv(), "b": conv()},
        ("reshape", "not a feature map"),
    ),
    "norms over channels by hand": (
        lambda m, x: ((y := m.a(x)) - y.mean(1, keepdim=True)) / (y.var(1, unbiased=False, keepdim=True) + 1).sqrt(),
        {"a": conv()},
        ("flatten", "not a feature map"),
    ),
    "norms over rows": (
        lambda m, x: m.n(m.a(x)),
        {"a": conv(), "n": nn.LayerNorm(12)},
        ("layers.n", "not a known layer"),
    ),
    "channels last": (
        lambda m, x: m.n(m.l(m.a(x).permute(0, 2, 3, 1))),
        {"a": conv(), "l": nn.Linear(3, 5), "n": nn.LayerNorm(5)},
        ("flatten", "not a feature map"),
    ),
    "a window over channels that come last": (
        lambda m, x: m.p(m.a(x).permute(0, 2, 3, 1)),
        {"a": conv(), "p": nn.MaxPool2d(2)},
        ("layers.p", "several cells"),
    ),
    "maps side by side": (
        lambda m, x: torch.cat([m.a(x), x, m.b(x).relu_()], 1),
        {"a": conv(), "b": conv()},
        ("flatten", "not a feature map"),
    ),
    "maps one below the other": (
        lambda m, x: torch.cat([m.a(x), x], 2),
        {"a": conv()},
        ("cat", "several cells"),
    ),
    "dropout that passes on": (
        lambda m, x: nn.functional.dropout(m.a(x), 0.5, False) + x,
        {"a": conv()},
        ("flatten", "not a feature map"),
    ),
    "a convolution by a parameter": (
        lambda m, x: nn.functional.conv2d(x, 2 * m.a.weight, m.a.bias, 2, 1, 1, 3).div(m.a.bias.exp()[:, None, None]),
        {"a": nn.Conv2d(3, 6, 3, groups=3)},
        ("flatten", "not a feature map"),
    ),
    "one channel that becomes several": (
        lambda m, x: (m.a(x) * m.b.bias[:, None, None] - 0.5).relu(),
        {"a": nn.Conv2d(3, 1, 3), "b": conv()},
        ("flatten", "not a feature map"),
    ),
    "a square, by a keyword": (
        lambda m, x: torch.mul(y := m.a(x), other=y),
        {"a": conv()},
        ("flatten", "not a feature map"),
    ),
    "a quotient, by a keyword": (
        lambda m, x: torch.div(m.a(x), other=m.a.bias[:, None, None] + 3),
        {"a": conv()},
        ("flatten", "not a feature map"),
    ),
    "overwritten under a view that swaps": (
        lambda m, x: (nn.functional.dropout(y := m.a(x), 0.5, False), y.swapaxes(2, 3).relu_())[0],
        {"a": conv()},
        ("dropout", "overwrites"),
    ),
    "a parameter per cell": (
        lambda m, x: m.a(x) * m.l.weight,
        {"a": conv(), "l": nn.Linear(12, 12)},
        ("mul", "same for all cells"),
    ),
    "a number divided by a map": (
        lambda m, x: 1 / (m.a(x).square() + 1),
        {"a": conv()},
        ("flatten", "not a feature map"),
    ),
    "the statistics of the batch as a function": (
        lambda m, x: nn.functional.batch_norm(m.a(x), None, None, training=True),
        {"a": conv()},
        ("batch_norm", "statistics of the batch"),
    ),
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
        ("layers.g", "not a known layer"),
    ),
    "statistics of the batch": (
        lambda m, x: m.n(m.a(x)),
        {"a": conv(), "n": nn.InstanceNorm2d(3)},
        ("layers.n", "not a known layer"),
    ),
    "uneven averages": (
        lambda m, x: m.p(m.a(x)),
        {"a": conv(), "p": nn.AvgPool2d(3, 2, 1, count_include_pad=False)},
        ("layers.p", "different numbers"),
    ),
    "averages that ceil_mode does not change": (
        lambda m, x: m.p(m.a(x)),
        {"a": conv(), "p": nn.AvgPool2d(2, 2, ceil_mode=True, count_include_pad=False)},
        ("flatten", "not a feature map"),
    ),
    "averages that ceil_mode lengthens": (
        lambda m, x: m.p(m.a(x)),
        {"a": conv(), "p": nn.AvgPool2d(5, 3, ceil_mode=True)},
        ("layers.p", "different numbers"),
    ),
    "uneven windows": (
        lambda m, x: m.p(m.a(x)),
        {"a": conv(), "p": nn.AdaptiveAvgPool2d(5)},
        ("layers.p", "different sizes"),
    ),
    "the whole map": (
        lambda m, x: m.p(m.a(x)),
        {"a": conv(), "p": nn.AdaptiveAvgPool2d(1)},
        ("flatten", "not a feature map"),
    ),
    "two strides": (lambda m, x: m.b(m.a(x)), {"a": conv(), "b": conv(stride=(1, 2))}, ("layers.b", "strides")),
    "same": (
        lambda m, x: m.a(x),
        {"a": nn.Conv2d(3, 3, (4, 3), padding="same", dilation=2)},
        ("flatten", "not a feature map"),
    ),
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


class Kept(nn.Module):
    """Keeps what it computed at its first forward pass, may count its passes, and has a layer that is replaced."""

    def __init__(self, counts: bool) -> None:
        super().__init__()
        self.a, self.b, self.head, self.counts = conv(), conv(), nn.Linear(3, 3), counts
        self.register_buffer("passes", torch.zeros(()))
        self.b.forward = torch.tanh
        self.kept = None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.counts:
            self.passes.add_(1)
        out = self.head(self.b(self.a(x)).mean((2, 3)))
        if self.kept is None:
            self.kept = out[:1]
        return out


@pytest.mark.parametrize("counts", [False, True])
def test_a_trace_leaves_the_model_as_it_was(counts):
    model = Kept(counts).eval()
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    engine = Local(model, (3, 12, 12))
    if counts:
        assert engine.reason == "it can't be traced (it overwrites what it computes from its weights)"
    else:
        assert engine.network.stop == ("b", "its forward pass has been replaced")
    assert not isinstance(model.kept, torch.fx.Proxy)
    assert all(torch.equal(tensor, before[key]) for key, tensor in model.state_dict().items())


def overwriting(layers: nn.ModuleDict, x: torch.Tensor) -> torch.Tensor:
    y = z = layers.a(x)
    y += x  # of z, too, which is not what a trace says
    return y * z


def by_the_way(layers: nn.ModuleDict, x: torch.Tensor) -> torch.Tensor:
    return layers.a(x) * sum(layers.a._parameters["bias"].tolist())  # no proxy sees it


def branching(layers: nn.ModuleDict, x: torch.Tensor) -> torch.Tensor:
    return layers.a(x) if x.sum() > 0 else x


def normalised(layers: nn.ModuleDict, x: torch.Tensor) -> torch.Tensor:
    weight = layers.a._parameters["weight"]  # of any scale the same, and no proxy sees it
    return nn.functional.conv2d(x, weight / weight.norm())


def scaled_in_place(layers: nn.ModuleDict, x: torch.Tensor) -> torch.Tensor:
    gate = layers.a.bias.exp()[:, None, None]
    y = layers.a(x) * gate
    gate.mul_(2)
    return y * gate


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        (branching, "can't be traced"),
        (overwriting, "do something else"),
        (by_the_way, "do not follow its weights"),
        (normalised, "do not follow its weights"),
        (scaled_in_place, "overwrites what it computes from its weights"),
        (lambda m, x: x.flatten(2), "its result is not a feature map"),
    ],
)
def test_a_model_with_no_local_part_says_so(rule, reason):
    model = Branches(rule, a=conv())
    model(torch.zeros(1, 3, 12, 12))
    assert reason in Local(model.eval(), (3, 12, 12)).reason
