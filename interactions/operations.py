"""Which operations of a traced network can be computed tile by tile.

windowed   every output cell is made of a window of input cells: convolutions and poolings
cellwise   every output cell is made of the same cell of one or several maps: activations, sums, products,
           concatenated channels, normalisations over the channels, linear layers on them

Maps have their channels first, [B, C, H, W], or last, [B, H, W, C]; `permute` leads from one to the other. Operands
that do not depend on the input (weights, buffers, what is computed from them) may be of any kind, as long as they are
the same for all cells: what FrozenBatchNorm2d multiplies by is [1, C, 1, 1].
"""

import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import fx, nn
from torch.nn import functional as F
from torch.nn.modules import module as every

from interactions.tiles import Window

ACTIVATIONS = (nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.ELU, nn.SELU, nn.CELU, nn.GELU, nn.SiLU, nn.Mish)
ACTIVATIONS += (nn.Softplus, nn.Sigmoid, nn.Tanh, nn.Hardtanh, nn.Hardsigmoid, nn.Hardswish)
PASSING = (nn.Identity, nn.Dropout, nn.Dropout2d)  # in evaluation mode
CHANNELS_FIRST = (nn.BatchNorm2d, nn.PReLU, nn.LocalResponseNorm)
CHANNELS_LAST = (nn.LayerNorm, nn.RMSNorm, nn.Linear)
ELEMENTWISE = {"add", "sub", "mul", "truediv", "div", "neg", "pow", "square", "sqrt", "rsqrt", "reciprocal", "exp",
               "log", "abs", "clamp", "maximum", "minimum", "relu", "relu6", "leaky_relu", "elu", "selu", "celu",
               "gelu", "silu", "mish", "softplus", "sigmoid", "tanh", "hardtanh", "hardsigmoid", "hardswish",
               "contiguous", "clone"}  # fmt: skip
IN_PLACE = {"iadd": "add", "isub": "sub", "imul": "mul", "itruediv": "truediv"}
RANDOM = {"dropout", "dropout2d", "stochastic_depth"}  # in training; otherwise they pass on what they are given
OVER_CHANNELS = {"mean", "sum", "amax", "amin", "var", "std"}
VIEWS = {"permute", "transpose", "movedim", "view", "view_as", "reshape", "flatten", "unflatten", "squeeze",
         "unsqueeze", "expand", "expand_as", "chunk", "split", "unbind", "narrow", "select", "getitem", "contiguous",
         "detach", "float", "double", "to", "type", "type_as", *RANDOM}  # fmt: skip
MAKING = ELEMENTWISE - {"contiguous"} | OVER_CHANNELS
MAKING |= {"cat", "conv2d", "linear", "batch_norm", "layer_norm", "rms_norm", "group_norm", "matmul", "softmax",
           "max_pool2d", "avg_pool2d", "adaptive_avg_pool2d", "adaptive_max_pool2d", "interpolate", "pad"}  # fmt: skip
LIBRARIES = ("torch.", "torchvision.ops.", "_operator.")
POOLINGS = {
    F.max_pool2d: nn.MaxPool2d,
    F.avg_pool2d: nn.AvgPool2d,
    F.adaptive_avg_pool2d: nn.AdaptiveAvgPool2d,
}
TO_LAST, TO_FIRST = (0, 2, 3, 1), (0, 3, 1, 2)

Shapes = Mapping[fx.Node, tuple[int, ...]]


class NotTiled(Exception):
    """Why a node of the graph can't be computed tile by tile."""


@dataclass(frozen=True)
class Head:
    """A convolution (with weight and bias: of `module`, or nodes of the graph) or a pooling (max, avg)."""

    kind: str
    window: Window
    groups: int = 1
    divisor: int | None = None
    module: nn.Conv2d | None = None
    weight: fx.Node | None = None
    bias: fx.Node | None = None
    macs: int = 0  # multiply-adds per output cell

    def weights(self, fixed: Mapping[fx.Node, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor | None]:
        """fixed: the values of all nodes that do not depend on the input."""
        if self.module:
            return self.module.weight, self.module.bias
        return fixed[self.weight], None if self.bias is None else fixed[self.bias]


def module_of(model: nn.Module, node: fx.Node) -> nn.Module | None:
    """The module that a node calls. Raises NotTiled if it does something else than its class."""
    module = model.get_submodule(node.target) if node.op == "call_module" else None
    if module is None:
        return None
    hooks = (
        module._forward_pre_hooks,
        module._forward_hooks,
        every._global_forward_hooks,
        every._global_forward_pre_hooks,
    )
    if any(hooks):
        raise NotTiled("it has hooks")
    if "forward" in vars(module):
        raise NotTiled("its forward pass has been replaced")
    if module.training:
        raise NotTiled("it is in training mode")
    return module


def name_of(node: fx.Node) -> str:
    """Of torch's own functions and methods, as they are written; "" for others and for modules."""
    if node.op == "call_method":
        return node.target
    known = node.op == "call_function" and f"{getattr(node.target, '__module__', '')}.".startswith(LIBRARIES)
    return node.target.__name__ if known else ""


def called(model: nn.Module, node: fx.Node, value: Callable[[fx.Node], object]) -> object:
    """What the node's operation makes of the values of its operands."""
    args, kwargs = fx.map_arg((node.args, dict(node.kwargs)), value)
    if node.op == "call_method":
        return getattr(args[0], node.target)(*args[1:], **kwargs)
    function = model.get_submodule(node.target) if node.op == "call_module" else node.target
    return function(*args, **kwargs)


def overwrites(model: nn.Module, node: fx.Node) -> bool:
    """Whether an operation changes what it is given first."""
    name = name_of(node)
    module = model.get_submodule(node.target) if node.op == "call_module" else None
    ends = name.endswith("_") and not name.startswith("_")
    return ends or name in IN_PLACE or getattr(module, "inplace", False) or _argument(node, "inplace") is True


def passes_on(model: nn.Module, node: fx.Node) -> bool:
    """Whether what a node gives may lie in the memory of what it is given."""
    if node.op == "call_module":
        return isinstance(model.get_submodule(node.target), (*PASSING, nn.Flatten))
    return node.target is getattr or name_of(node) in VIEWS


def may_pass_on(model: nn.Module, node: fx.Node) -> bool:
    """The same, of all operations that are not known to make a new tensor."""
    if node.op == "call_module":
        return passes_on(model, node) or "Dropout" in type(model.get_submodule(node.target)).__name__
    name = IN_PLACE.get(name_of(node), name_of(node))
    return passes_on(model, node) or name not in MAKING


def is_cheap(model: nn.Module, node: fx.Node) -> bool:
    """Whether it is folded into a convolution, done in place or nothing but a view, as a rule."""
    if node.op == "call_module":
        return isinstance(model.get_submodule(node.target), (nn.BatchNorm2d, nn.ReLU, *PASSING))
    return passes_on(model, node) or name_of(node) in ("add", "iadd", "add_", "relu", "relu_", "batch_norm")


def macs_of(model: nn.Module, node: fx.Node, shapes: Shapes) -> int:
    """Multiply-adds of a convolution or linear layer on one whole input; of other nodes none."""
    shape, name = shapes[node], name_of(node)
    module = model.get_submodule(node.target) if node.op == "call_module" else None
    if isinstance(module, nn.Conv2d):
        return _work(module.weight.shape, module.groups) * math.prod(shape[2:])
    if isinstance(module, nn.Linear):
        return module.weight.numel() * math.prod(shape[1:-1])
    weight = _argument(node, "weight", 1) if name in ("conv2d", "linear") else None
    if weight not in shapes:
        return 0
    if name == "linear":
        return math.prod(shapes[weight]) * math.prod(shape[1:-1])
    return _work(shapes[weight], _argument(node, "groups", 6, 1)) * math.prod(shape[2:])


def _work(weight: tuple[int, ...], groups: int) -> int:
    """Multiply-adds per output cell; of a depthwise convolution as many as would take its time elsewhere: it is twice
    as slow as others."""
    return math.prod(weight) * (2 if groups > 1 and weight[1] == 1 else 1)


def head(model: nn.Module, node: fx.Node, fixed: set[fx.Node], shapes: Shapes) -> Head | None:
    """None if the operation is no convolution or pooling. Raises NotTiled if its windows are not served.

    Subclasses of torch's modules are not known: they may do something else.
    """
    module = module_of(model, node)
    if node.op == "call_function" and node.target in POOLINGS:
        module = _pooling(node)
    if name_of(node) == "conv2d":
        return _convolution_function(node, fixed, shapes)
    if type(module) is nn.AdaptiveAvgPool2d:
        return Head("avg", _adaptive(shapes[node.all_input_nodes[0]][2:], shapes[node][2:]))
    if type(module) not in (nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d):
        return None
    window = _window(module)
    if isinstance(module, nn.AvgPool2d):
        _check_average(module, window, shapes[node.all_input_nodes[0]][2:], shapes[node][2:])
    if isinstance(module, nn.Conv2d):
        return Head("conv", window, module.groups, module=module, macs=_work(module.weight.shape, module.groups))
    if isinstance(module, nn.MaxPool2d):
        return Head("max", window)
    return Head("avg", window, divisor=module.divisor_override)


def cellwise(
    model: nn.Module, node: fx.Node, maps: Mapping[fx.Node, bool], fixed: set[fx.Node], shapes: Shapes
) -> bool:
    """Whether the node's value has its channels last. Raises NotTiled if it is not cellwise.

    maps: of its operands those that depend on the input, with whether they have their channels last.
    """
    last = next(iter(maps.values()))
    if len(set(maps.values())) > 1:
        raise NotTiled("its maps have their channels in different places")
    module, name = module_of(model, node), name_of(node)
    if name == "permute":
        return _permuted(node, last)
    if module is not None:
        _check_module(module, last)
    elif name in ("cat", "concat", "concatenate"):
        _check_dimension(node, last, default=0)
        _check_operands(node, name, maps, fixed, shapes, last)
    elif name in OVER_CHANNELS:
        _check_dimension(node, last, default=None)
        if not _keeps_dimensions(node, name):
            raise NotTiled("its result is no feature map")
    elif name in RANDOM:
        if _argument(node, "training") is not False:
            raise NotTiled("it is random")
    else:
        _check_function(node, name, last)
        _check_operands(node, name, maps, fixed, shapes, last)
    return last


def _check_module(module: nn.Module, last: bool) -> None:
    kind = type(module)
    if kind in (*ACTIVATIONS, *PASSING):
        return
    if kind in CHANNELS_FIRST and not last:
        if kind is nn.BatchNorm2d and module.running_mean is None:
            raise NotTiled("it normalises with the statistics of the batch")
        return
    if kind in CHANNELS_LAST and last and len(getattr(module, "normalized_shape", [0])) == 1:
        return
    raise NotTiled("it is no known layer")


def _check_function(node: fx.Node, name: str, last: bool) -> None:
    if "out" in node.kwargs:
        raise NotTiled("it writes to another map")
    if name == "batch_norm" and not last:
        if _argument(node, "training", 5) or _argument(node, "running_mean", 1) is None:
            raise NotTiled("it normalises with the statistics of the batch")
    elif name in ("layer_norm", "rms_norm") and last:
        if len(_argument(node, "normalized_shape", 1)) != 1:
            raise NotTiled("it normalises over several cells")
    elif not (name == "linear" and last) and IN_PLACE.get(name, name.removesuffix("_")) not in ELEMENTWISE:
        raise NotTiled("it is no known layer")


def _check_operands(
    node: fx.Node, name: str, maps: Mapping[fx.Node, bool], fixed: set[fx.Node], shapes: Shapes, last: bool
) -> None:
    """Maps of one size, and all else the same for every cell."""
    cells = slice(1, 3) if last else slice(2, 4)
    if any(shapes[operand][cells] != shapes[node][cells] for operand in maps):
        raise NotTiled("its maps have different sizes")
    if name in ("batch_norm", "layer_norm", "rms_norm", "linear"):  # their vectors are of the channels
        return
    for operand in node.all_input_nodes:
        if operand in fixed and any(side > 1 for side in _over_cells(shapes.get(operand, ()), last)):
            raise NotTiled("it is not the same for all cells")


def _over_cells(shape: tuple[int, ...], last: bool) -> list[int]:
    """The sides of an operand that lie along the batch and the rows and columns of a map."""
    padded = (1,) * (4 - len(shape)) + tuple(shape)
    return [padded[axis] for axis in ((0, 1, 2) if last else (0, 2, 3))] + list(padded[4:])


def _permuted(node: fx.Node, last: bool) -> bool:
    given = node.args[1] if len(node.args) == 2 else node.args[1:] or node.kwargs.get("dims", ())
    order = (
        tuple(axis % 4 if isinstance(axis, int) else axis for axis in given) if isinstance(given, tuple | list) else ()
    )
    if order != (TO_FIRST if last else TO_LAST):
        raise NotTiled("its result is no feature map")
    return not last


def _check_dimension(node: fx.Node, last: bool, default: int | None) -> None:
    """Whether it works along the channels."""
    given = _argument(node, "dim", 1, default)
    axes = given if isinstance(given, tuple | list) else [given]
    if [axis % 4 if isinstance(axis, int) else axis for axis in axes] != [3 if last else 1]:
        raise NotTiled("it reaches over several cells")


def _keeps_dimensions(node: fx.Node, name: str) -> bool:
    place = 2 if name in ("mean", "sum", "amax", "amin") else 99  # of others it depends on what comes before
    return _argument(node, "keepdim", place) is True


def _argument(node: fx.Node, name: str, place: int | None = None, default: object = None) -> object:
    """The value of an argument, by its name or its place; Python functions tell the place themselves."""
    if name in node.kwargs:
        return node.kwargs[name]
    if place is None and inspect.isfunction(node.target):
        names = list(inspect.signature(node.target).parameters)
        place = names.index(name) if name in names else None
        if place is not None and place >= len(node.args):
            return inspect.signature(node.target).parameters[name].default
    return node.args[place] if place is not None and place < len(node.args) else default


def _pooling(node: fx.Node) -> nn.Module:
    """The module that does what a function does."""
    try:
        return POOLINGS[node.target](*node.args[1:], **node.kwargs)
    except TypeError:
        raise NotTiled("its arguments are not known") from None


def _convolution_function(node: fx.Node, fixed: set[fx.Node], shapes: Shapes) -> Head:
    given = [_argument(node, name, place, default) for place, (name, default) in enumerate(CONVOLUTION.items())]
    _, weight, bias, stride, padding, dilation, groups = given
    if weight not in fixed or bias not in {None, *fixed}:
        raise NotTiled("its weights depend on the input")
    _, _, *kernel = shapes[weight]
    window = _checked_window(tuple(kernel), _pair(dilation), _pair(stride), padding)
    return Head("conv", window, groups, weight=weight, bias=bias, macs=_work(shapes[weight], groups))


CONVOLUTION = {"input": None, "weight": None, "bias": None, "stride": 1, "padding": 0, "dilation": 1, "groups": 1}


def _window(module: nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d) -> Window:
    if getattr(module, "padding_mode", "zeros") != "zeros":
        raise NotTiled(f"it pads with {module.padding_mode}")
    if getattr(module, "return_indices", False):
        raise NotTiled("it returns indices")
    kernel, dilation = _pair(module.kernel_size), _pair(getattr(module, "dilation", 1))
    return _checked_window(kernel, dilation, _pair(module.stride), module.padding)


def _check_average(module: nn.AvgPool2d, window: Window, before: tuple[int, ...], after: tuple[int, ...]) -> None:
    """Whether every average is over as many cells."""
    padded = [side + 2 * padding for side, padding in zip(before, window.padding, strict=True)]
    ends = [(side - 1) * window.stride + kernel for side, kernel in zip(after, window.kernel, strict=True)]
    within = all(end <= side for end, side in zip(ends, padded, strict=True))  # ceil_mode may reach beyond
    if not within or (any(window.padding) and not module.count_include_pad):
        raise NotTiled("it averages over different numbers of cells")


def _checked_window(
    kernel: tuple[int, int], dilation: tuple[int, int], strides: tuple[int, int], padding: object
) -> Window:
    if isinstance(padding, str):
        padding = tuple(d * (k - 1) // 2 if padding == "same" else 0 for d, k in zip(dilation, kernel, strict=True))
    if strides[0] != strides[1]:
        raise NotTiled("its strides differ")
    return Window(kernel, dilation, _pair(padding), strides[0])


def _adaptive(before: tuple[int, ...], after: tuple[int, ...]) -> Window:
    """The average over windows of one size that do not overlap."""
    stride = before[0] // after[0]
    if before != tuple(stride * side for side in after):
        raise NotTiled("its windows have different sizes")
    return Window((stride, stride), stride=stride)


def _pair(value: int | tuple[int, ...]) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (value[0], value[-1])
