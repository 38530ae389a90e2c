"""Recognises operations that make every output cell from a window of input cells: convolutions and poolings.

Examples in one dimension; the last column has the input cells that two neighbouring outputs (a tile of t = 2) need,
counted from the place of the first output:

    operation                       output cell i is made of         two outputs of
    kernel 3, padding 1             i-1, i, i+1                      -1 0 1 2
    kernel 3, padding 1, stride 2   2i-1, 2i, 2i+1                   -1 0 1 2 3
    kernel 3, padding 2, dilation 2 i-2, i, i+2                      -2 -1 0 1 2 3
    kernel 2, stride 2              2i, 2i+1                         0 1 2 3
    kernel 1, stride 2              2i                               0 2

All windows must be alike. An average over fewer cells at the edge, or over 3, 4 and 3 cells in turn (from 8 cells to
3), depends on where the window lies, which entries do not know: such operations run on whole maps.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import fx, nn
from torch.nn import functional as F

from interactions.local.operations import NotTiled, Shapes, argument, module_of, name_of, work
from interactions.local.tiles import Window

POOLINGS = {
    F.max_pool2d: nn.MaxPool2d,
    F.avg_pool2d: nn.AvgPool2d,
    F.adaptive_avg_pool2d: nn.AdaptiveAvgPool2d,
}
# The arguments of torch's conv2d, in order, with their defaults: it is compiled, and has no signature to read.
CONVOLUTION = {"input": None, "weight": None, "bias": None, "stride": 1, "padding": 0, "dilation": 1, "groups": 1}


@dataclass(frozen=True)
class Head:
    """A convolution (with weight and bias from `module`, or from nodes of the graph) or a pooling (max, avg)."""

    kind: str
    window: Window
    groups: int = 1
    divisor: int | None = None
    module: nn.Conv2d | None = None
    weight: fx.Node | None = None
    bias: fx.Node | None = None
    macs: int = 0  # multiply-adds per output cell

    def weights(self, fixed: Mapping[fx.Node, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Returns weight and bias. fixed: the values of all nodes that do not depend on the input."""
        if self.module:
            return self.module.weight, self.module.bias
        return fixed[self.weight], None if self.bias is None else fixed[self.bias]


def head(model: nn.Module, node: fx.Node, fixed: set[fx.Node], shapes: Shapes) -> Head | None:
    """Returns the node's convolution or pooling; None for other operations. Raises NotTiled if its windows are not
    supported.

    Subclasses of torch's modules are not recognised: they may do something else.
    """
    module = module_of(model, node)
    if node.op == "call_function" and node.target in POOLINGS:
        module = _pooling(node)
    if name_of(node) == "conv2d":  # with weights that are computed, such as standardised ones
        return _convolution_function(node, fixed, shapes)
    if type(module) is nn.AdaptiveAvgPool2d:
        return Head("avg", _adaptive(shapes[node.all_input_nodes[0]][2:], shapes[node][2:]))
    if type(module) not in (nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d):
        return None
    window = _window(module)
    if isinstance(module, nn.AvgPool2d):
        _check_average(module, window, shapes[node.all_input_nodes[0]][2:], shapes[node][2:])
    if isinstance(module, nn.Conv2d):
        return Head("conv", window, module.groups, module=module, macs=work(module.weight.shape, module.groups))
    if isinstance(module, nn.MaxPool2d):
        return Head("max", window)
    return Head("avg", window, divisor=module.divisor_override)


def _pooling(node: fx.Node) -> nn.Module:
    """Returns the module that does what a function does."""
    # Both have the same arguments in the same order, but for max_pool2d, whose arguments the trace gives by name.
    try:
        return POOLINGS[node.target](*node.args[1:], **node.kwargs)
    except TypeError:
        raise NotTiled("its arguments are not known") from None


def _convolution_function(node: fx.Node, fixed: set[fx.Node], shapes: Shapes) -> Head:
    given = [argument(node, name, place, default) for place, (name, default) in enumerate(CONVOLUTION.items())]
    _, weight, bias, stride, padding, dilation, groups = given
    # Each masked input would have its own convolution.
    if weight not in fixed or bias not in {None, *fixed}:
        raise NotTiled("its weights depend on the input")
    _, _, *kernel = shapes[weight]
    window = _checked_window(tuple(kernel), _pair(dilation), _pair(stride), padding)
    return Head("conv", window, groups, weight=weight, bias=bias, macs=work(shapes[weight], groups))


def _window(module: nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d) -> Window:
    if getattr(module, "padding_mode", "zeros") != "zeros":
        raise NotTiled(f"it pads with {module.padding_mode}")
    if getattr(module, "return_indices", False):
        raise NotTiled("it returns indices")
    kernel, dilation = _pair(module.kernel_size), _pair(getattr(module, "dilation", 1))
    return _checked_window(kernel, dilation, _pair(module.stride), module.padding)


def _check_average(module: nn.AvgPool2d, window: Window, before: tuple[int, ...], after: tuple[int, ...]) -> None:
    """Raises NotTiled unless every average is over the same number of cells."""
    padded = [side + 2 * padding for side, padding in zip(before, window.padding, strict=True)]
    ends = [(side - 1) * window.stride + kernel for side, kernel in zip(after, window.kernel, strict=True)]
    within = all(end <= side for end, side in zip(ends, padded, strict=True))  # ceil_mode may reach beyond
    if not within or (any(window.padding) and not module.count_include_pad):
        raise NotTiled("it averages over different numbers of cells")


def _checked_window(
    kernel: tuple[int, int], dilation: tuple[int, int], strides: tuple[int, int], padding: object
) -> Window:
    # "same": torch pads by d * (k - 1) in all; if that is odd, the additional cell comes last. Only the padding at the
    # beginning matters here, as everything beyond the edge is padding.
    if isinstance(padding, str):
        padding = tuple(d * (k - 1) // 2 if padding == "same" else 0 for d, k in zip(dilation, kernel, strict=True))
    if strides[0] != strides[1]:
        raise NotTiled("its strides differ")
    return Window(kernel, dilation, _pair(padding), strides[0])


def _adaptive(before: tuple[int, ...], after: tuple[int, ...]) -> Window:
    """Returns the window of an average over windows of one size that do not overlap; raises NotTiled for other
    windows."""
    # Otherwise some of torch's windows overlap.
    stride = before[0] // after[0]
    if before != tuple(stride * side for side in after):
        raise NotTiled("its windows have different sizes")
    return Window((stride, stride), stride=stride)


def _pair(value: int | tuple[int, ...]) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (value[0], value[-1])
