"""Where entries come from, against tensors whose entries are their own numbers."""

import math

import pytest
import torch
from torch import fx

from models.lean.captured import aten, emitted
from models.lean.places import Places, joined
from models.lean.straight import root


def start(shape):
    node = fx.Graph().placeholder("x")
    node.meta["val"] = torch.arange(math.prod(shape)).view(shape)
    return node


def entries(places: Places) -> torch.Tensor:
    """The definition: number `offset`, plus the steps along each dimension."""
    found = torch.tensor(places.offset)
    for dim in places.dims:
        along = torch.zeros(1, dtype=torch.int64)
        for size, step in dim:
            along = (along[:, None] + step * torch.arange(size)).flatten()
        found = found[..., None] + along
    return found


def some_move(node, generator):
    def draw(high, low=0):
        return int(torch.randint(low, high, (), generator=generator))

    shape = node.meta["val"].shape
    dim = draw(len(shape), -len(shape)) if len(shape) else 0
    moves = {aten.unsqueeze.default: (draw(len(shape) + 1, -len(shape) - 1),)}
    count, sides = math.prod(shape), []
    while count > 1:
        divisors = [number for number in range(1, count + 1) if count % number == 0]
        sides.append(divisors[draw(len(divisors))])
        count //= sides[-1]
    moves[aten.reshape.default] = (sides,)
    if len(shape):
        first = draw(shape[dim])
        moves |= {
            aten.permute.default: (torch.randperm(len(shape), generator=generator).tolist(),),
            aten.transpose.int: (dim, draw(len(shape))),
            aten.select.int: (dim, draw(shape[dim], -shape[dim])),
            aten.slice.Tensor: (dim, first - shape[dim] * draw(2), draw(2**62, first + 1) if draw(2) else shape[dim]),
            aten.squeeze.dim: (dim,),
        }
    target = list(moves)[draw(len(moves))]
    if target in (aten.select.int, aten.slice.Tensor) and draw(3):  # else little is left soon
        target = aten.permute.default
    return emitted(node.graph, target, (node, *moves[target]))


@pytest.mark.parametrize("shape", [[24], [2, 3, 4], [6, 6], [1, 4, 1, 6], [5, 7]])
def test_entries_are_where_places_say_after_any_chain_of_moves(shape):
    followed = 0
    for seed in range(200):
        generator = torch.Generator().manual_seed(seed)
        last = first = start(shape)
        for _ in range(5):
            last = some_move(last, generator)
        source, places = root(last)
        assert source is first
        if places is not None:
            assert torch.equal(entries(places), last.meta["val"])
            followed += 1
    assert followed > 100


def test_the_heads_of_a_linear_layer_are_followed():
    node = start([2, 6])
    node = emitted(node.graph, aten.reshape.default, (node, [2, 2, 3]))
    node = emitted(node.graph, aten.permute.default, (node, [1, 0, 2]))
    _, places = root(node)
    assert places.steps == [(2, 3), (2, 6), (3, 1)]
    node = emitted(node.graph, aten.select.int, (node, 0, 1))
    assert root(node)[1].offset == 3


def test_a_reshape_across_factors_that_do_not_fit_has_no_places():
    node = start([3, 2])
    node = emitted(node.graph, aten.transpose.int, (node, 0, 1))
    node = emitted(node.graph, aten.reshape.default, (node, [3, 2]))
    assert root(node)[1] is None


def test_nothing_has_no_places():
    node = start([3, 4])
    node = emitted(node.graph, aten.slice.Tensor, (node, 1, 3, 1))
    assert root(node)[1] is None


def test_neighbouring_factors_are_joined():
    assert joined(((2, 12), (1, 5), (3, 4))) == [(6, 4)]
    assert joined(((2, 12), (3, 2))) == [(2, 12), (3, 2)]
    assert joined(((1, 7),)) == [(1, 0)]
