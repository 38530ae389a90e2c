"""Leaves out what nobody reads: every operation computes only the part of its result that a later one needs.

A classifier that reads one token ends with `select(x, 1, 0)`, x being [B, tokens, channels]. So of x only the first
token is needed, hence of the MLP and the norm before it, hence one row of the attention. Keys and values are needed of
all tokens: there it ends. Nothing of this looks for a transformer. From the last operation to the first, each has a
rule that tells which box of its operands a box of its result needs (see RULES); for any other operation, everything is
needed.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import fx

from models.lean.boxes import Box, before_reshape, broadcast, sizes, union, whole
from models.lean.captured import Captured, aten, emitted, rebuilt


@dataclass(frozen=True)
class Part:
    """A box of a node's value, as an argument."""

    node: fx.Node
    box: Box


@dataclass(frozen=True)
class Narrowed:
    """An operation that computes the box `made` of its result, from parts of its operands. target: None: it gives its
    first argument as it is."""

    made: Box
    target: Callable | None
    args: tuple
    kwargs: dict


def demanded(found: Captured) -> Captured:
    """Returns the graph without what is not needed for its output."""
    needed, narrowed = {found.output: whole(shape_of(found.output))}, {}
    for node in reversed(found.graph.nodes):
        if node.op != "call_function" or node not in needed:
            continue
        narrowed[node] = _narrowed(node, needed[node])
        for part in _parts(narrowed[node]):
            needed[part.node] = union(needed.get(part.node, part.box), part.box)

    def emit(graph: fx.Graph, node: fx.Node, new: dict[fx.Node, fx.Node]) -> fx.Node | None:
        if node not in narrowed:
            return None
        this = narrowed[node]

        def taken(part: object) -> object:
            if not isinstance(part, Part):
                return new[part] if isinstance(part, fx.Node) else part
            return _cut(graph, new[part.node], _made(narrowed, part.node), part.box)

        args, kwargs = _mapped(this.args, taken), {key: _mapped(value, taken) for key, value in this.kwargs.items()}
        return args[0] if this.target is None else emitted(graph, this.target, args, kwargs)

    return rebuilt(found, emit)


def shape_of(node: fx.Node) -> tuple[int, ...]:
    return tuple(node.meta["val"].shape)


def _made(narrowed: dict[fx.Node, Narrowed], node: fx.Node) -> Box:
    return narrowed[node].made if node in narrowed else _whole(node)


def _cut(graph: fx.Graph, node: fx.Node, made: Box, wanted: Box) -> fx.Node:
    for dim, ((first, last), (start, stop)) in enumerate(zip(made, wanted, strict=True)):
        if (first, last) != (start, stop):
            node = emitted(graph, aten.slice.Tensor, (node, dim, start - first, stop - first))
    return node


def _mapped(value: object, function: Callable[[object], object]) -> object:
    if isinstance(value, list | tuple):
        return type(value)(_mapped(each, function) for each in value)
    return function(value)


def _parts(this: Narrowed) -> list[Part]:
    found: list[Part] = []
    _mapped((this.args, *this.kwargs.values()), lambda value: found.append(value) if isinstance(value, Part) else None)
    return found


def _narrowed(node: fx.Node, box: Box) -> Narrowed:
    rule = RULES.get(node.target)
    if rule is None and torch.Tag.pointwise in getattr(node.target, "tags", ()):
        rule = _pointwise
    return (rule and _of_one(node) and rule(node, box)) or _all(node)


def _of_one(node: fx.Node) -> bool:
    return isinstance(node.meta["val"], torch.Tensor)


def _all(node: fx.Node) -> Narrowed:
    """Everything is needed."""

    def part(value: object) -> object:
        return Part(value, _whole(value)) if isinstance(value, fx.Node) else value

    kwargs = {key: _mapped(value, part) for key, value in node.kwargs.items()}
    return Narrowed(_whole(node), node.target, _mapped(node.args, part), kwargs)


def _whole(node: fx.Node) -> Box:
    return whole(shape_of(node)) if _of_one(node) else ()  # several tensors have no box


def _aligned(value: object, box: Box) -> object:
    return Part(value, broadcast(box, shape_of(value))) if isinstance(value, fx.Node) else value


def _pointwise(node: fx.Node, box: Box) -> Narrowed:
    args = _mapped(node.args, lambda value: _aligned(value, box))
    return Narrowed(box, node.target, args, {key: _aligned(value, box) for key, value in node.kwargs.items()})


def _linear(node: fx.Node, box: Box) -> Narrowed:
    x, weight, *bias = node.args
    channels = (0, shape_of(x)[-1])
    rows = [Part(vector, (box[-1],)) if vector is not None else None for vector in bias]
    return Narrowed(box, node.target, (Part(x, (*box[:-1], channels)), Part(weight, (box[-1], channels)), *rows), {})


def _over_last(count: Callable[[fx.Node], int]) -> Callable[[fx.Node, Box], Narrowed]:
    """Returns the rule of an operation over the last `count` dimensions, which are needed as a whole."""

    def rule(node: fx.Node, box: Box) -> Narrowed:
        shape = shape_of(node)
        outer = len(shape) - count(node)
        made = box[:outer] + whole(shape[outer:])
        others = [Part(x, whole(shape_of(x))) if isinstance(x, fx.Node) else x for x in node.args[1:]]
        return Narrowed(made, node.target, (Part(node.args[0], made), *others), node.kwargs)

    return rule


def _softmax(node: fx.Node, box: Box) -> Narrowed:
    x, dim, *others = node.args
    shape = shape_of(node)
    made = tuple((0, shape[place]) if place == dim % len(shape) else part for place, part in enumerate(box))
    return Narrowed(made, node.target, (Part(x, made), dim, *others), node.kwargs)


def _attention(node: fx.Node, box: Box) -> Narrowed | None:
    """Row i of the result needs row i of the queries and of the mask, and all keys and values."""
    q, k, v, *others = node.args
    mask, dropout, causal = (*others[:3], *(None, 0.0, False)[len(others) :])
    kwargs = dict(node.kwargs)
    mask = kwargs.pop("attn_mask", mask)
    # A causal mask depends on where the row is; grouped queries have fewer heads of keys.
    if causal or kwargs.get("is_causal") or kwargs.get("enable_gqa") or len(others) > 3:
        return None
    outer, rows = box[:-2], box[-2]

    def part(x: fx.Node, rows: tuple[int, int]) -> Part:
        *sides, _, channels = shape_of(x)
        return Part(x, (*broadcast(outer, sides), rows, (0, channels)))

    query, keys, values = part(q, rows), *(part(x, (0, shape_of(k)[-2])) for x in (k, v))
    made = (*outer, rows, (0, shape_of(node)[-1]))
    if mask is not None:
        mask = Part(mask, broadcast((*outer, rows, (0, shape_of(k)[-2])), shape_of(mask)))
    return Narrowed(made, node.target, (query, keys, values, mask, dropout), kwargs)


def _matmul(node: fx.Node, box: Box) -> Narrowed | None:
    a, b = node.args
    shape_a, shape_b = shape_of(a), shape_of(b)
    if len(shape_a) < 2 or len(shape_b) < 2:
        return None
    inner = (0, shape_a[-1])
    left = (*broadcast(box[:-2], shape_a[:-2]), box[-2], inner)
    right = (*broadcast(box[:-2], shape_b[:-2]), inner, box[-1])
    return Narrowed(box, node.target, (Part(a, left), Part(b, right)), {})


def _reshape(node: fx.Node, box: Box) -> Narrowed | None:
    source = node.args[0]
    part = before_reshape(box, shape_of(node), shape_of(source))
    return part and Narrowed(box, aten.reshape.default, (Part(source, part), sizes(box)), {})


def _permute(node: fx.Node, box: Box) -> Narrowed:
    source, order = node.args
    part = [(0, 0)] * len(box)
    for place, dim in enumerate(order):
        part[dim] = box[place]
    return Narrowed(box, node.target, (Part(source, tuple(part)), order), {})


def _transpose(node: fx.Node, box: Box) -> Narrowed:
    source, a, b = node.args
    part = list(box)
    part[a], part[b] = box[b], box[a]
    return Narrowed(box, node.target, (Part(source, tuple(part)), a, b), {})


def _unsqueeze(node: fx.Node, box: Box) -> Narrowed:
    source, dim = node.args
    dim %= len(box)
    return Narrowed(box, node.target, (Part(source, box[:dim] + box[dim + 1 :]), dim), {})


def _squeeze(node: fx.Node, box: Box) -> Narrowed | None:
    source, dim = node.args
    shape = shape_of(source)
    dim %= len(shape)
    if shape[dim] != 1:
        return None
    return Narrowed(box, node.target, (Part(source, (*box[:dim], (0, 1), *box[dim:])), dim), {})


def _select(node: fx.Node, box: Box) -> Narrowed:
    source, dim, index = node.args
    shape = shape_of(source)
    dim %= len(shape)
    index %= shape[dim]
    return Narrowed(box, node.target, (Part(source, (*box[:dim], (index, index + 1), *box[dim:])), dim, 0), {})


def _slice(node: fx.Node, box: Box) -> Narrowed | None:
    source, dim, start, stop, step = (*node.args, *(0, None, None, 1)[len(node.args) - 1 :])
    shape = shape_of(source)
    dim %= len(shape)
    if step != 1:
        return None
    first, _, _ = slice(start, stop).indices(shape[dim])
    a, b = box[dim]
    return Narrowed(box, None, (Part(source, (*box[:dim], (first + a, first + b), *box[dim + 1 :])),), {})


def _expand(node: fx.Node, box: Box) -> Narrowed:
    source = node.args[0]
    return Narrowed(box, node.target, (Part(source, broadcast(box, shape_of(source))), sizes(box)), {})


def _cat(node: fx.Node, box: Box) -> Narrowed | None:
    sources, dim = node.args[0], (node.args[1] if len(node.args) > 1 else 0) % len(box)
    parts, begin = [], 0
    for source in sources:
        shape = shape_of(source)
        # torch accepts an empty vector among others, and brings all to one type.
        if len(shape) != len(box) or source.meta["val"].dtype != node.meta["val"].dtype:
            return None
        start, stop = max(box[dim][0] - begin, 0), min(box[dim][1] - begin, shape[dim])
        begin += shape[dim]
        if start < stop:
            parts.append(Part(source, (*box[:dim], (start, stop), *box[dim + 1 :])))
    if not parts:
        return None
    return Narrowed(box, aten.cat.default, (parts, dim), {}) if len(parts) > 1 else Narrowed(box, None, (parts[0],), {})


RULES: dict[Callable, Callable[[fx.Node, Box], Narrowed | None]] = {
    aten.linear.default: _linear,
    aten.layer_norm.default: _over_last(lambda node: len(node.args[1])),
    aten.rms_norm.default: _over_last(lambda node: len(node.args[1])),
    aten.softmax.int: _softmax,
    aten._softmax.default: _softmax,
    aten.scaled_dot_product_attention.default: _attention,
    aten.matmul.default: _matmul,
    aten.bmm.default: _matmul,
    aten.reshape.default: _reshape,
    aten.permute.default: _permute,
    aten.transpose.int: _transpose,
    aten.unsqueeze.default: _unsqueeze,
    aten.squeeze.dim: _squeeze,
    aten.select.int: _select,
    aten.slice.Tensor: _slice,
    aten.expand.default: _expand,
    aten.cat.default: _cat,
    aten._to_copy.default: _pointwise,
}
