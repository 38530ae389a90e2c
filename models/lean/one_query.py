"""Attention of a single query without keys and values: what is left of the last block if one token is read.

A key is k_t = K x_t + c, and the score of a token is q'k_t = (K'q)'x_t + q'c. The last term is the same for all tokens,
and softmax ignores it. A value is W x_t + d, and the weights p_t add up to 1: so sum_t p_t (W x_t + d) = W (sum_t p_t
x_t) + d. Both ways are the same, and with one query the right-hand sides need two products of a vector with a matrix in
each head, where the left-hand sides need two for every token.

    T = 197 tokens, D = 384 channels, 6 heads: keys and values take 2 T D D = 58 million multiply-adds; now there are
    2 D D + 2 * 6 T D = 1.2 million.
"""

from typing import NamedTuple

from torch import fx

from models.lean.captured import Captured, aten, copied, emitted, rebuilt
from models.lean.demanded import shape_of
from models.lean.straight import root


class Projected(NamedTuple):
    """Keys or values as heads of a linear layer on tokens: entry [b, h, t, e] is row `first + h * width + e` of the
    layer's weights, with token t of x. tokens_first: x is [T, B, D] and not [B, T, D]; x may have these joined."""

    x: fx.Node
    weight: fx.Node
    bias: fx.Node | None
    first: int
    tokens_first: bool


def one_query(found: Captured) -> Captured:
    """Returns the graph with every attention of a single query written so."""

    def emit(graph: fx.Graph, node: fx.Node, new: dict[fx.Node, fx.Node]) -> fx.Node:
        if node.target is aten.scaled_dot_product_attention.default and _is_single(node):
            keys, values = _projected(node.args[1]), _projected(node.args[2])
            if keys and values and keys.x is values.x:
                return _attended(graph, node, keys, values, new)
        return copied(graph, node, new)

    return rebuilt(found, emit)


def _is_single(node: fx.Node) -> bool:
    """Returns whether the attention has one query and several keys, is not random, and has as many heads of each."""
    q, k, v, *others = node.args
    shapes = [shape_of(x) for x in (q, k, v)]
    plain = not any(others[1:]) and not node.kwargs.keys() - {"scale", "attn_mask"}
    alike = all(len(shape) == 4 and shape[:2] == shapes[0][:2] for shape in shapes) and shapes[1] == shapes[2]
    return plain and alike and shapes[0][2] == 1 and shapes[1][2] > 1


def _projected(node: fx.Node) -> Projected | None:
    batch, heads, tokens, width = shape_of(node)
    node, places = root(node)
    if node.target is not aten.linear.default or node.meta["val"].dim() < 2:
        return None
    steps = places and places.steps
    if not steps:
        return None
    x, weight, *bias = node.args
    row = shape_of(weight)[0]
    # A dimension of size 1 has no step.
    of = [step if size > 1 else None for size, step in steps]
    all_tokens = node.meta["val"].numel() == batch * tokens * row
    within = of[1] in (width, None) and of[3] in (1, None) and places.offset + heads * width <= row
    batch_first, tokens_first = (tokens * row, row), (row, batch * row)
    fits = [order for order in (batch_first, tokens_first)
            if all(a in (b, None) for a, b in zip((of[0], of[2]), order, strict=True))]  # fmt: skip
    if not all_tokens or not within or not fits or steps[0][0] != batch or steps[2][0] != tokens:
        return None
    return Projected(x, weight, bias[0] if bias else None, places.offset, fits[0] == tokens_first)


def _attended(
    graph: fx.Graph, node: fx.Node, keys: Projected, values: Projected, new: dict[fx.Node, fx.Node]
) -> fx.Node:
    def do(target: object, *args: object) -> fx.Node:
        return emitted(graph, target, args)

    def heads_of(rows: fx.Node, first: int, *shape: int) -> fx.Node:
        return do(aten.reshape.default, do(aten.slice.Tensor, new[rows], 0, first, first + heads * width), list(shape))

    batch, heads, tokens, width = shape_of(node.args[1])
    channels = shape_of(keys.x)[-1]
    mask = node.kwargs.get("attn_mask") or (node.args[3] if len(node.args) > 3 else None)
    scale = width**-0.5 if node.kwargs.get("scale") is None else node.kwargs["scale"]
    if keys.tokens_first:
        x = do(aten.transpose.int, do(aten.reshape.default, new[keys.x], [tokens, batch, channels]), 0, 1)
    else:
        x = do(aten.reshape.default, new[keys.x], [batch, tokens, channels])
    query = do(aten.transpose.int, do(aten.reshape.default, new[node.args[0]], [batch, heads, width]), 0, 1)
    turned = do(aten.bmm.default, query, heads_of(keys.weight, keys.first, heads, width, channels))  # [H, B, D]
    turned = do(aten.mul.Tensor, do(aten.transpose.int, turned, 0, 1), scale)
    scores = do(aten.bmm.default, turned, do(aten.transpose.int, x, 1, 2))  # [B, H, T]
    if mask is not None:
        scores = do(aten.reshape.default, scores, [batch, heads, 1, tokens])
        if new[mask].meta["val"].dtype.is_floating_point:
            scores = do(aten.add.Tensor, scores, new[mask])
        else:
            scores = do(aten.masked_fill.Scalar, scores, do(aten.logical_not.default, new[mask]), float("-inf"))
        scores = do(aten.reshape.default, scores, [batch, heads, tokens])
    share = do(aten.softmax.int if mask is None else aten._safe_softmax.default, scores, -1)
    mean = do(aten.bmm.default, share, x)  # [B, H, D]
    weight = heads_of(values.weight, values.first, heads, width, channels)
    out = do(aten.bmm.default, do(aten.transpose.int, mean, 0, 1), do(aten.transpose.int, weight, 1, 2))  # [H, B, e]
    if values.bias is not None:
        bias = heads_of(values.bias, values.first, heads, 1, width)
        if mask is not None:  # a query that sees no token has weights of 0, and its result is 0
            bias = do(aten.mul.Tensor, bias, do(aten.transpose.int, do(aten.sum.dim_IntList, share, [-1], True), 0, 1))
        out = do(aten.add.Tensor, out, bias)
    return do(aten.reshape.default, do(aten.transpose.int, out, 0, 1), [batch, heads, 1, width])
