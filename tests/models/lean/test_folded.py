"""Convolutions that do what followed them, with the weights of any checkpoint."""

import pytest
import torch
from torch import nn
from torchvision.ops import FrozenBatchNorm2d

from models.lean.captured import aten, captured
from models.lean.folded import NORM, folded

X = torch.randn(3, 4, 6, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


class Net(nn.Module):
    def __init__(self, rule, **layers: nn.Module) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.rule = rule
        self.conv, self.norm = nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.scale = nn.Parameter(torch.ones(4, 1, 1))
        for name, layer in layers.items():
            setattr(self, name, layer)
        for tensor in (*self.parameters(), *self.buffers()):
            if tensor.is_floating_point():
                tensor.data.uniform_(0.5, 1.5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.rule(self, x)


def plain(m, x):
    return m.norm(m.conv(x))


FOLDED = {
    "with bias": (plain, {}),
    "without bias": (plain, {"conv": nn.Conv2d(4, 4, 3, bias=False)}),
    "grouped, strided, dilated": (plain, {"conv": nn.Conv2d(4, 4, 2, 2, 1, 2, groups=2)}),
    "each channel alone": (plain, {"conv": nn.Conv2d(4, 8, 3, groups=4, bias=False), "norm": nn.BatchNorm2d(8)}),
    "norm without weights": (plain, {"norm": nn.BatchNorm2d(4, affine=False)}),
    "frozen norm": (plain, {"norm": FrozenBatchNorm2d(4)}),
    "ReLU after it": (lambda m, x: m.norm(m.conv(x)).relu(), {}),
    "twice": (lambda m, x: m.norm(m.norm(m.conv(x))) / 3 - 2, {}),
    "products and sums": (lambda m, x: (m.conv(x) * m.scale - m.scale[None]) / m.scale + 0.5, {}),
    "the weight first": (lambda m, x: m.scale + m.scale * m.conv(x), {}),
    "one channel to four": (lambda m, x: m.conv(x) * m.scale, {"conv": nn.Conv2d(4, 1, 1)}),
    "two blocks": (lambda m, x: m.norm(m.conv(m.norm(m.conv(x)).relu())), {}),
}


def left(found):
    return [node.target for node in found.graph.nodes
            if node not in found.fixed() and node.op == "call_function"]  # fmt: skip


@pytest.mark.parametrize(("rule", "layers"), FOLDED.values(), ids=FOLDED)
def test_what_follows_a_convolution_becomes_a_part_of_it(rule, layers, value):
    model = Net(rule, **layers).double().eval()
    found = folded(captured(model, X))
    assert set(left(found)) <= {aten.conv2d.default, aten.relu.default}
    for _ in range(2):
        assert torch.allclose(value(found, model, X), model(X), rtol=1e-12, atol=1e-12)
        for tensor in (*model.parameters(), *model.buffers()):  # another checkpoint
            if tensor.is_floating_point():
                tensor.data.uniform_(0.5, 1.5)


KEPT = {
    "read twice": lambda m, x: (y := m.conv(x)) + m.norm(y),
    "a norm of its input": lambda m, x: m.norm(x),
    "ReLU between": lambda m, x: m.norm(m.conv(x).relu()),
    "a sum of maps": lambda m, x: m.norm(m.conv(x) + x),
    "a square": lambda m, x: (y := m.conv(x)) * y,
    "a number for each place": lambda m, x: m.conv(x) * m.scale.view(4)[:, None, None].expand(4, 6, 6),
    "an excitation": lambda m, x: m.conv(x) * x.mean((2, 3), keepdim=True),
    "a factor of the sum": lambda m, x: torch.add(m.conv(x), m.scale, alpha=2),
    "of a higher precision": lambda m, x: m.conv(x) * m.scale.double(),
}


@pytest.mark.parametrize("rule", KEPT.values(), ids=KEPT)
def test_other_operations_stay(rule, value):
    model = Net(rule).eval()
    x = X.float()
    before = captured(model, x)
    found = folded(before)
    assert sorted(map(str, left(found))) == sorted(map(str, left(before)))
    result, expected = value(found, model, x), model(x)
    assert torch.allclose(result, expected, rtol=1e-5)
    assert result.dtype == expected.dtype


def test_a_sum_that_is_read_twice_is_folded_where_the_convolution_is_read_once(value):
    model = Net(lambda m, x: (y := m.norm(m.conv(x))) + y.relu()).double().eval()
    found = folded(captured(model, X))
    assert NORM not in left(found)
    assert torch.allclose(value(found, model, X), model(X), rtol=1e-12)
