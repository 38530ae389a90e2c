"""Joins a convolution and the affine functions of single channels that follow it into one convolution.

Batch-norm in evaluation mode is y = scale * x + shift, and so are similar operations that get these numbers in other
ways (FrozenBatchNorm2d multiplies and adds buffers; a network may divide by a parameter). For any such operation, the
results for 0 and for 1 give scale and shift; they are computed in float64, so that the difference loses no precision.

An example with one channel: the convolution 3 x + 1, followed by a batch-norm of mean 4, variance 0.25, weight 2 and
bias 7. The norm turns 0 into (0 - 4) / 0.5 * 2 + 7 = -9, and 1 into -5: its scale is 4, its shift -9. Both together are
one convolution of weight 4 * 3 = 12 and bias 4 * 1 - 9 = -5. A second such operation would be folded into that one.
"""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import fx, nn
from torch.nn import functional as F

from interactions.local.graph import Layer
from interactions.local.operations import PASSING, called, name_of

Values = Mapping[fx.Node, torch.Tensor]
SUMS = {"add", "iadd", "add_", "sub", "isub", "sub_"}
PRODUCTS = {"mul", "imul", "mul_"}
QUOTIENTS = {"truediv", "itruediv", "div", "div_"}


class Folded(NamedTuple):
    """Weight and bias of the convolution; count: the number of the layer's operations that it contains."""

    weight: torch.Tensor
    bias: torch.Tensor | None
    count: int


def folded(model: nn.Module, layer: Layer, fixed: Values) -> Folded:
    """Folds the operations of a layer that begins with a convolution."""
    weight, bias = layer.head.weights(fixed)
    count, value = 0, layer.nodes[0]
    scale, shift = weight.new_ones(len(weight)).double(), weight.new_zeros(len(weight)).double()
    for op in layer.after:
        if op.maps or not is_affine(model, op.node, value):
            break  # all later operations, affine or not, work on a value that does not come from a convolution
        zero, one = (_of(model, op.node, value, number, weight, fixed) for number in (0.0, 1.0))
        if len(zero) != len(weight):  # one channel, multiplied by several numbers
            break
        scale, shift = (one - zero) * scale, (one - zero) * shift + zero
        count, value = count + 1, op.node
    if count == 0:
        return Folded(weight, bias, 0)  # the original weights, without a copy through float64
    if bias is not None:
        shift = shift + bias.double() * scale
    return Folded((weight.double() * scale.view(-1, 1, 1, 1)).to(weight.dtype), shift.to(weight.dtype), count)


def is_affine(model: nn.Module, node: fx.Node, value: fx.Node) -> bool:
    """Returns whether the operation on `value` is an affine function of each channel, and depends on nothing else."""
    if node.op == "call_module":
        return type(model.get_submodule(node.target)) in (nn.BatchNorm2d, *PASSING)
    if any(isinstance(argument, fx.Node) for argument in node.kwargs.values()):
        return False
    # x + x and x * x read the value twice: the first is affine nevertheless, the second is not. 2 - x is, 2 / x is not.
    name, first = name_of(node), node.args[:1] == (value,)
    once = sum(argument is value for argument in node.args) == 1
    if name == "batch_norm" and once:
        return first
    if name in QUOTIENTS:
        return first and once and "rounding_mode" not in node.kwargs
    return name in SUMS | PRODUCTS and once


def _of(
    model: nn.Module, node: fx.Node, value: fx.Node, number: float, weight: torch.Tensor, fixed: Values
) -> torch.Tensor:
    """Returns the operation's result for this number in each channel: [C] float64."""
    x = weight.new_full((1, len(weight), 1, 1), number, dtype=torch.float64)
    if node.op == "call_module":
        y = _of_module(model.get_submodule(node.target), x)
    else:
        y = called(model, node, lambda other: x if other is value else _double(fixed[other]))
    return y.flatten()


def _of_module(module: nn.Module, x: torch.Tensor) -> torch.Tensor:
    if not isinstance(module, nn.BatchNorm2d):
        return x
    # The module itself can't be called, as its numbers are of the network's type.
    given = (module.running_mean, module.running_var, module.weight, module.bias)
    return F.batch_norm(x, *map(_double, given), eps=module.eps)


def _double(value: object) -> object:
    return value.double() if isinstance(value, torch.Tensor) and value.is_floating_point() else value
