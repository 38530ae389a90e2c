"""Folds into a convolution what follows it and is an affine function of each channel, with weights alone.

Batch-norm in evaluation mode is y = scale x + shift, and so are products and sums with weights of one number per
channel. The convolution of weight w and bias b before it becomes one of weight scale w and bias scale b + shift. They
are computed in float64, once for the weights of each checkpoint: the operation's results for 0 and for 1 give shift and
scale. (interactions/local/fold.py has an example in numbers.)
"""

import operator

import torch
from torch import fx

from models.lean.captured import Captured, aten, copied, emitted, rebuilt
from models.lean.demanded import shape_of

NORM = aten._native_batch_norm_legit_no_training.default
SUMS, PRODUCTS = (aten.add.Tensor, aten.sub.Tensor), (aten.mul.Tensor, aten.div.Tensor)


def folded(found: Captured) -> Captured:
    """Returns the graph without the affine operations that follow a convolution and are the only ones to read it."""
    fixed = found.fixed()

    def emit(graph: fx.Graph, node: fx.Node, new: dict[fx.Node, fx.Node]) -> fx.Node:
        source = _source(node, fixed)
        if source is None or new[source].target is not aten.conv2d.default:
            return copied(graph, node, new)
        return _joined(graph, node, fixed, new[source], new)

    return rebuilt(found, emit)


def _source(node: fx.Node, fixed: set[fx.Node]) -> fx.Node | None:
    """Returns the value that the operation is an affine function of; None if it is no such operation, or if others read
    this value."""
    if node.target is operator.getitem and node.args[0].target is NORM and node.args[1] == 0:
        norm = node.args[0]
        source = norm.args[0] if all(operand in fixed for operand in norm.all_input_nodes[1:]) else None
    elif node.target in SUMS + PRODUCTS and not node.kwargs and node not in fixed:
        source, by = _operands(node, fixed)
        if isinstance(by, fx.Node) and not (by in fixed and _per_channel(by, shape_of(source))):
            source = None
        norm = node
    else:
        return None
    alone = isinstance(source, fx.Node) and set(source.users) == {norm}
    return source if alone and source.meta["val"].dtype == node.meta["val"].dtype else None


def _operands(node: fx.Node, fixed: set[fx.Node]) -> tuple[fx.Node, fx.Node | float]:
    """Returns the two operands of a sum or product, the one that is fixed last, if their order does not matter."""
    first, second = node.args
    turned = first in fixed and node.target in (aten.add.Tensor, aten.mul.Tensor)
    return (second, first) if turned else (first, second)


def _per_channel(by: fx.Node, shape: tuple[int, ...]) -> bool:
    """Returns whether there is one number for each channel, or for all: [C, 1, 1] of [B, C, H, W]."""
    mine = (1,) * (len(shape) - by.meta["val"].dim()) + shape_of(by)
    return len(mine) == len(shape) == 4 and mine[0] == mine[2] == mine[3] == 1


def _joined(graph: fx.Graph, node: fx.Node, fixed: set[fx.Node], conv: fx.Node, new: dict[fx.Node, fx.Node]) -> fx.Node:
    """Returns the convolution that does what `conv` and then `node` do. fixed: of the graph that `node` is of."""

    def do(target: object, *args: object, **kwargs: object) -> fx.Node:
        return emitted(graph, target, args, kwargs)

    def of(number: float) -> fx.Node:
        """Returns the result of the operation for this number in each channel: [C] float64."""
        value = do(aten.new_full.default, double(weight), [1, channels, 1, 1], number)
        if node.target is operator.getitem:
            _, *numbers = node.args[0].args
            value = do(NORM, value, *(double(new[x]) if isinstance(x, fx.Node) else x for x in numbers))
            value = do(operator.getitem, value, 0)
        else:
            _, by = _operands(node, fixed)
            value = do(node.target, value, double(new[by]) if isinstance(by, fx.Node) else by)
        return do(aten.reshape.default, value, [-1])

    def double(value: fx.Node) -> fx.Node:
        return do(aten._to_copy.default, value, dtype=torch.float64)

    x, weight, *others = conv.args
    bias, others = (others[0], others[1:]) if others else (None, [])
    channels, dtype = shape_of(weight)[0], weight.meta["val"].dtype
    shift = of(0.0)
    scale = do(aten.sub.Tensor, of(1.0), shift)
    if bias is not None:
        shift = do(aten.add.Tensor, shift, do(aten.mul.Tensor, double(bias), scale))
    weight = do(aten.mul.Tensor, double(weight), do(aten.reshape.default, scale, [-1, 1, 1, 1]))
    weight, bias = (do(aten._to_copy.default, value, dtype=dtype) for value in (weight, shift))
    return do(aten.conv2d.default, x, weight, bias, *others)
