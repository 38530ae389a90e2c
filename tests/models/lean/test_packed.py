"""oneDNN's convolutions return what torch's do."""

from collections import Counter

import pytest
import torch
from torch import nn

from models.lean.captured import aten, captured
from models.lean.packed import can_pack, onednn, packed

pytestmark = pytest.mark.skipif(not can_pack(torch.zeros(1)), reason="torch has no oneDNN here")
X = torch.randn(3, 4, 8, 8, generator=torch.Generator().manual_seed(0))
ALONE, WITH_SUM = onednn._convolution_pointwise.default, onednn._convolution_pointwise.binary


class Net(nn.Module):
    def __init__(self, rule, **options: object) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.rule = rule
        self.a = nn.Conv2d(4, 4, 3, **{"padding": 1, **options})
        self.b = nn.Conv2d(4, 4, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.rule(self, x)


def one(m, x):
    return m.a(x)


# A network, the options of its first layer, and how many packed convolutions there are: without a sum, with one, and
# how many sums and ReLUs are left.
NETWORKS = {
    "one": (one, {}, (1, 0, 0, 0)),
    "without bias": (one, {"bias": False}, (1, 0, 0, 0)),
    "strided, dilated, grouped": (one, {"stride": 2, "dilation": 2, "groups": 2, "padding": (2, 1)}, (1, 0, 0, 0)),
    "each channel alone": (one, {"groups": 4}, (1, 0, 0, 0)),
    "padding by name": (one, {"padding": "same"}, (0, 0, 0, 0)),
    "ReLU": (lambda m, x: m.b(m.a(x).relu()).relu_(), {}, (2, 0, 0, 0)),
    "ReLU that others do not read": (lambda m, x: (y := m.a(x)).relu() * y, {}, (1, 0, 0, 1)),
    "a residual block": (lambda m, x: (m.b((y := x.tanh()) * 2) + y).relu(), {}, (0, 1, 0, 0)),
    "a residual block the other way": (lambda m, x: (y := x.tanh()) + m.b(y), {}, (0, 1, 0, 0)),
    "a sum of two": (lambda m, x: (m.a(x) + m.b(x)).relu(), {}, (1, 1, 0, 0)),
    "a sum with what comes later": (lambda m, x: m.a(x) + x.tanh(), {}, (1, 0, 1, 0)),
    "a sum that is read twice": (lambda m, x: (y := m.b(m.a(x.tanh())) + x.cos()).relu() + y, {}, (2, 0, 2, 1)),
    "a sum before it": (lambda m, x: (y := x.cos() + m.a(x.tanh())).relu() + y, {}, (0, 1, 1, 1)),
    "a sum with itself": (lambda m, x: (y := m.a(x)) + y, {}, (1, 0, 1, 0)),
    "a convolution that is read twice": (lambda m, x: (y := m.a(x.tanh())) + m.b(y), {}, (1, 1, 0, 0)),
    "a map that is turned": (lambda m, x: m.a(y := x.tanh()) + y.mT, {}, (1, 0, 1, 0)),
    "a map that was turned": (lambda m, x: (y := x.tanh().mT) + m.a(y), {}, (0, 1, 0, 0)),
    "a map for all inputs": (lambda m, x: (y := x.tanh()).mean(0) + m.a(y), {}, (1, 0, 1, 0)),
    "twice the map": (lambda m, x: torch.add(m.a(y := x.tanh()), y, alpha=2), {}, (1, 0, 1, 0)),
    "a map of a higher precision": (lambda m, x: (x.tanh().double() + m.a(x)).float(), {}, (1, 0, 1, 0)),
    "weights of the input": (lambda m, x: torch.conv2d(x, x.mean(0, keepdim=True)), {}, (0, 0, 0, 0)),
    "one map without a batch": (lambda m, x: m.a(x[0]), {}, (0, 0, 0, 0)),
    "in a higher precision": (lambda m, x: torch.conv2d(x.double(), m.a.weight.double()).float(), {}, (0, 0, 0, 0)),
}  # fmt: skip


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize(("rule", "options", "counts"), NETWORKS.values(), ids=NETWORKS)
def test_packed_convolutions_return_the_same(rule, options, counts, layout, value):
    model, x = Net(rule, **options).eval().to(memory_format=layout), X.to(memory_format=layout)
    found = packed(captured(model, x))
    result, expected = value(found, model, x), model(x)
    assert torch.allclose(result, expected, rtol=1e-4, atol=1e-5)
    there = Counter(node.target for node in found.graph.nodes)
    assert tuple(there[target] for target in (ALONE, WITH_SUM, aten.add.Tensor, aten.relu.default)) == counts


def test_only_single_precision_on_a_cpu_is_packed():
    assert not can_pack(torch.zeros(1, dtype=torch.float64))
    assert not can_pack(torch.zeros(1, device="meta"))
