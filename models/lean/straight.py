"""Takes the shortest way wherever a network moves the entries of a tensor around.

torchvision's attention works on [tokens, B, channels]: it transposes its input, projects it, cuts the result into heads
by seven operations, and transposes its output back. Each of these steps may copy the tensor. Two facts make them short:

- Wherever a chain of moves ends, `Places` tells where each entry was. The same is done by at most a slice, a reshape
  and a permutation, or by nothing, if transposes cancel.
- A linear layer treats all rows alike: linear(transpose(x)) is transpose(linear(x)), and the transpose may cancel with
  a later one.
"""

import math

from torch import fx

from models.lean.captured import Captured, aten, copied, emitted, rebuilt
from models.lean.demanded import shape_of
from models.lean.places import MOVES, Factor, Places, joined


def straight(found: Captured) -> Captured:
    """Returns the graph with short moves."""
    return rebuilt(rebuilt(found, _linear_first), _shortest)


def _linear_first(graph: fx.Graph, node: fx.Node, new: dict[fx.Node, fx.Node]) -> fx.Node:
    """Applies a linear layer to the rows in the order in which they were made."""
    if node.target is not aten.linear.default or node.args[0].target not in MOVES:
        return copied(graph, node, new)
    x, *weights = node.args
    source, places = root(x)
    shape = shape_of(source)
    dims = places and _dims_of([factor for dim in places.dims for factor in joined(dim)], shape)
    if not dims:
        return copied(graph, node, new)
    columns = len(joined(places.dims[-1]))
    rows, last = dims[: len(dims) - columns], dims[len(dims) - columns :]
    if rows == sorted(rows):
        return copied(graph, node, new)
    ones = [dim for dim in range(len(shape)) if shape[dim] == 1]
    ordered = emitted(graph, aten.permute.default, (new[source], [*ones, *sorted(rows), *last]))
    sides = [shape[dim] for dim in sorted(rows)]
    ordered = emitted(graph, aten.reshape.default, (ordered, [*sides, shape_of(x)[-1]]))
    result = emitted(graph, aten.linear.default, (ordered, *fx.map_arg(tuple(weights), new.__getitem__)))
    back = [sorted(rows).index(dim) for dim in rows]
    result = emitted(graph, aten.permute.default, (result, [*back, len(rows)]))
    return emitted(graph, aten.reshape.default, (result, list(shape_of(node))))


def _dims_of(factors: list[Factor], shape: tuple[int, ...]) -> list[int] | None:
    """Returns which dimension of the source each factor is, if each is a whole one, and all are there."""
    whole = [(side, math.prod(shape[place + 1 :])) for place, side in enumerate(shape)]
    if any(factor not in whole for factor in factors):
        return None
    dims = [whole.index(factor) for factor in factors]
    return dims if sorted(dims) == [place for place, side in enumerate(shape) if side > 1] else None


def _shortest(graph: fx.Graph, node: fx.Node, new: dict[fx.Node, fx.Node]) -> fx.Node:
    if node.target not in MOVES or all(user.target in MOVES for user in node.users):
        return copied(graph, node, new)
    source, places = root(node)
    short = places and _moved(graph, new[source], places, shape_of(node))
    return short or copied(graph, node, new)


def root(node: fx.Node) -> tuple[fx.Node, Places | None]:
    """Returns the node whose entries this one has moved, and where they were."""
    moves = []
    while node.target in MOVES:
        moves.append(node)
        node = node.args[0]
    places: Places | None = Places.of(shape_of(node))
    for move in reversed(moves):
        places = places and places.after(move)
    return node, places


def _moved(graph: fx.Graph, source: fx.Node, places: Places, shape: tuple[int, ...]) -> fx.Node | None:
    """Emits the shortest moves to these places; returns None if they are not a part of each dimension, in any order."""
    factors = [factor for dim in places.dims for factor in joined(dim) if factor[0] > 1]
    ordered, split, node = sorted(factors, key=lambda factor: -factor[1]), [], source
    sides, left = shape_of(source), places.offset
    for dim, side in enumerate(sides):
        step = math.prod(sides[dim + 1 :])
        mine = [factor for factor in ordered if step <= factor[1] < step * side]
        after = [*[inner * inner_step for inner, inner_step in mine[1:]], step]
        if mine and [outer for _, outer in mine] != after:
            return None
        count, (start, left) = math.prod(size for size, _ in mine), divmod(left, step)
        if start + count > side:
            return None
        if count < side:
            node = emitted(graph, aten.slice.Tensor, (node, dim, start, start + count))
        split += mine
    if split != ordered:
        return None
    if list(shape_of(node)) != [size for size, _ in split]:
        node = emitted(graph, aten.reshape.default, (node, [size for size, _ in split]))
    order = [split.index(factor) for factor in factors]
    if order != sorted(order):
        node = emitted(graph, aten.permute.default, (node, order))
    return node if shape_of(node) == shape else emitted(graph, aten.reshape.default, (node, list(shape)))
