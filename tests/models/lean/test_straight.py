"""Entries take the shortest way, and arrive at the same places."""

import math

import pytest
import torch
from torch import fx, nn

from models.lean.captured import Captured, aten, captured, emitted
from models.lean.demanded import demanded, shape_of
from models.lean.places import MOVES
from models.lean.straight import straight
from models.vision import vit_tiny

CHANGES = {aten.permute.default, aten.transpose.int}


def chain(shape, seed) -> Captured:
    """Returns a chain of random moves, whose end is read."""
    generator = torch.Generator().manual_seed(seed)

    def draw(high):
        return int(torch.randint(high, (), generator=generator))

    graph = fx.Graph()
    node = first = graph.placeholder("x")
    node.meta["val"] = torch.arange(math.prod(shape)).view(shape)
    for _ in range(6):
        sides = list(shape_of(node))
        dim = draw(len(sides))
        kind = draw(4)
        if kind == 0:
            order = torch.randperm(len(sides), generator=generator).tolist()
            node = emitted(graph, aten.permute.default, (node, order))
        elif kind == 1 and sides[dim] % 2 == 0:
            sides[dim : dim + 1] = [[2, sides[dim] // 2], [sides[dim] // 2, 2]][draw(2)]
            node = emitted(graph, aten.reshape.default, (node, sides))
        elif kind == 2 and dim:
            sides[dim - 1 : dim + 1] = [sides[dim - 1] * sides[dim]]
            node = emitted(graph, aten.reshape.default, (node, sides))
        elif kind == 3 and sides[dim] > 2:
            node = emitted(graph, aten.slice.Tensor, (node, dim, 1, sides[dim]))
    node = emitted(graph, aten.neg.default, (node,))
    graph.output(node)
    return Captured(graph, [first], {}, {})


def moves(found: Captured) -> list:
    return [node.target for node in found.graph.nodes if node.target in MOVES]


@pytest.mark.parametrize("shape", [[4, 6, 8], [2, 2, 2, 3], [12, 12], [1, 8, 1, 6], [5, 16]])
def test_any_chain_of_moves_ends_at_the_same_places(shape, value):
    shorter = 0
    for seed in range(100):
        before = chain(shape, seed)
        found, x = straight(before), torch.arange(math.prod(shape)).view(shape)
        model = nn.Identity()
        assert torch.equal(value(found, model, x), value(before, model, x))
        assert len([move for move in moves(found) if move in CHANGES]) <= max(
            1, len([move for move in moves(before) if move in CHANGES])
        )
        shorter += len(moves(found)) < len(moves(before))
    assert shorter > 20


class Net(nn.Module):
    def __init__(self, rule) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.rule, self.a = rule, nn.Linear(8, 6)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.rule(self, x)


X = torch.randn(3, 5, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
STRAIGHT = {  # and what is left of the moves
    "there and back": (lambda m, x: m.a(x.transpose(0, 1)).transpose(0, 1).relu(), []),
    "there and back by other names": (lambda m, x: m.a(x.permute(1, 0, 2)).reshape(5, 3, 6).movedim(1, 0).relu(), []),
    "joined": (lambda m, x: m.a(x.reshape(15, 8)).view(3, 5, 6).relu(), [aten.reshape.default] * 2),
    "turned and joined": (
        lambda m, x: m.a(x.transpose(0, 1).reshape(15, 8)).view(5, 3, 6).transpose(0, 1).relu(),
        [aten.reshape.default] * 2,
    ),
    "the same twice": (lambda m, x: x.view(3, 5, 2, 4).view(3, 5, 8).unsqueeze(0).squeeze(0).relu(), []),
    "a part of a part": (lambda m, x: x[:, 1:][:, 2:4].relu(), [aten.slice.Tensor]),
}


@pytest.mark.parametrize(("rule", "left"), STRAIGHT.values(), ids=STRAIGHT)
def test_moves_that_cancel_are_left_out(rule, left, value):
    model = Net(rule).double().eval()
    found = straight(captured(model, X))
    assert torch.allclose(value(found, model, X), model(X), rtol=1e-12)
    kept = [move for node in found.graph.nodes if (move := node.target) in MOVES
            and shape_of(node) != shape_of(node.args[0])]  # fmt: skip
    assert len(kept) <= len(left)
    assert not CHANGES & {*kept}


OTHER = {
    "channels that become rows": lambda m, x: m.a(x.reshape(3, 10, 4).transpose(1, 2).reshape(3, 5, 8)),
    "a transpose that does not fit": lambda m, x: m.a(x[:, :4].transpose(1, 2).reshape(3, 4, 8)),
    "one input": lambda m, x: m.a(x[:1].transpose(0, 1)).transpose(0, 1),
    "channels of both sides": lambda m, x: m.a(x.view(3, 5, 2, 4).permute(1, 0, 3, 2).reshape(5, 3, 8)),
    "some tokens": lambda m, x: m.a(x[1:, 2:].transpose(0, 1)),
    "every second": lambda m, x: m.a(x.transpose(0, 1)[::2]),
    "weights that are moved": lambda m, x: x.transpose(0, 1) * m.a.weight.T.reshape(6, 8)[:3],
    "nothing": lambda m, x: m.a(x.transpose(0, 1)[3:1].reshape(3, 0, 8)),
    "tokens in the last dimension": lambda m, x: nn.functional.linear(x.transpose(1, 2), x[0, :, :5].T),
}


@pytest.mark.parametrize("rule", OTHER.values(), ids=OTHER)
def test_other_moves_keep_their_results(rule, value):
    model = Net(rule).double().eval()
    assert torch.allclose(value(straight(captured(model, X)), model, X), model(X), rtol=1e-12)


def test_torchvisions_attention_copies_nothing_to_put_tokens_first(value):
    torch.manual_seed(0)
    model, x = vit_tiny(3, depth=2).double().eval(), torch.randn(3, 3, 32, 32, dtype=torch.float64)
    before = demanded(captured(model, x))
    found = straight(before)
    assert torch.allclose(value(found, model, x), model(x), rtol=1e-12, atol=1e-12)
    assert len(moves(found)) < 0.7 * len(moves(before))
    for node in found.graph.nodes:  # rows as they were made: tokens of an input together
        if node.target is aten.linear.default and node.meta["val"].dim() > 2:
            assert shape_of(node)[0] == 3
