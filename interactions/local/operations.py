"""Facts about a traced network's operations: their names, use of memory, arguments and cost.

The files `windowed` and `cellwise` decide which of them can be computed tile by tile.
"""

import inspect
import math
from collections.abc import Callable, Mapping

from torch import fx, nn
from torch.nn.modules import module as every

PASSING = (nn.Identity, nn.Dropout, nn.Dropout2d)  # in evaluation mode
ELEMENTWISE = {"add", "sub", "mul", "truediv", "div", "neg", "pow", "square", "sqrt", "rsqrt", "reciprocal", "exp",
               "log", "abs", "clamp", "maximum", "minimum", "relu", "relu6", "leaky_relu", "elu", "selu", "celu",
               "gelu", "silu", "mish", "softplus", "sigmoid", "tanh", "hardtanh", "hardsigmoid", "hardswish",
               "contiguous", "clone"}  # fmt: skip
IN_PLACE = {"iadd": "add", "isub": "sub", "imul": "mul", "itruediv": "truediv"}
RANDOM = {"dropout", "dropout2d", "stochastic_depth"}  # in training; otherwise they pass on what they are given
OVER_CHANNELS = {"mean", "sum", "amax", "amin", "var", "std"}
# They return their operand's memory, always or (`contiguous`, `to` and the like) when they have nothing to change.
VIEWS = {"permute", "transpose", "movedim", "view", "view_as", "reshape", "flatten", "unflatten", "squeeze",
         "unsqueeze", "expand", "expand_as", "chunk", "split", "unbind", "narrow", "select", "getitem", "contiguous",
         "detach", "float", "double", "to", "type", "type_as", *RANDOM}  # fmt: skip
# These are known to return new memory. Operations that are neither here nor among the views may do either.
MAKING = ELEMENTWISE - {"contiguous"} | OVER_CHANNELS
MAKING |= {"cat", "conv2d", "linear", "batch_norm", "layer_norm", "rms_norm", "group_norm", "matmul", "softmax",
           "max_pool2d", "avg_pool2d", "adaptive_avg_pool2d", "adaptive_max_pool2d", "interpolate", "pad"}  # fmt: skip
# An `add` of another module may do anything.
LIBRARIES = ("torch.", "torchvision.ops.", "_operator.")

Shapes = Mapping[fx.Node, tuple[int, ...]]


class NotTiled(Exception):
    """A node of the graph can't be computed tile by tile; the message gives the reason."""


def module_of(model: nn.Module, node: fx.Node) -> nn.Module | None:
    """Returns the module that a node calls. Raises NotTiled if it behaves differently from its class."""
    module = model.get_submodule(node.target) if node.op == "call_module" else None
    if module is None:
        return None
    # A module's class tells what it does, except for hooks, a forward pass that only this object has (in `vars`, which
    # does not contain the methods of the class), and training mode.
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
    """Returns the name of torch's own functions and methods, as it is written; "" for others and for modules."""
    if node.op == "call_method":
        return node.target
    known = node.op == "call_function" and f"{getattr(node.target, '__module__', '')}.".startswith(LIBRARIES)
    return node.target.__name__ if known else ""


def called(model: nn.Module, node: fx.Node, value: Callable[[fx.Node], object]) -> object:
    """Returns the result of the node's operation for the values of its operands."""
    args, kwargs = fx.map_arg((node.args, dict(node.kwargs)), value)
    if node.op == "call_method":
        return getattr(args[0], node.target)(*args[1:], **kwargs)
    function = model.get_submodule(node.target) if node.op == "call_module" else node.target
    return function(*args, **kwargs)


def overwrites(model: nn.Module, node: fx.Node) -> bool:
    """Returns whether an operation changes its first operand."""
    name = name_of(node)
    module = model.get_submodule(node.target) if node.op == "call_module" else None
    ends = name.endswith("_") and not name.startswith("_")  # add_, and not __add__
    return ends or name in IN_PLACE or getattr(module, "inplace", False) or argument(node, "inplace") is True


def passes_on(model: nn.Module, node: fx.Node) -> bool:
    """Returns whether the result of a node may lie in the memory of its operand."""
    if node.op == "call_module":
        return isinstance(model.get_submodule(node.target), (*PASSING, nn.Flatten))
    return node.target is getattr or name_of(node) in VIEWS


def may_pass_on(model: nn.Module, node: fx.Node) -> bool:
    """Returns whether the result of a node may lie in its operand's memory, also for operations that are not known."""
    # A false alarm only costs speed, but a shared value that is missed would make the result wrong.
    if node.op == "call_module":
        return passes_on(model, node) or "Dropout" in type(model.get_submodule(node.target)).__name__
    name = IN_PLACE.get(name_of(node), name_of(node))
    return passes_on(model, node) or name not in MAKING


def is_cheap(model: nn.Module, node: fx.Node) -> bool:
    """Returns whether the operation is usually folded into a convolution, done in place or only a view."""
    if node.op == "call_module":
        return isinstance(model.get_submodule(node.target), (nn.BatchNorm2d, nn.ReLU, *PASSING))
    return passes_on(model, node) or name_of(node) in ("add", "iadd", "add_", "relu", "relu_", "batch_norm")


def macs_of(model: nn.Module, node: fx.Node, shapes: Shapes) -> int:
    """Returns the multiply-adds of a convolution or linear layer on one whole input; 0 for other nodes."""
    shape, name = shapes[node], name_of(node)
    module = model.get_submodule(node.target) if node.op == "call_module" else None
    if isinstance(module, nn.Conv2d):
        return work(module.weight.shape, module.groups) * math.prod(shape[2:])
    if isinstance(module, nn.Linear):
        return module.weight.numel() * math.prod(shape[1:-1])
    weight = argument(node, "weight", 1) if name in ("conv2d", "linear") else None
    if weight not in shapes:
        return 0
    if name == "linear":
        return math.prod(shapes[weight]) * math.prod(shape[1:-1])
    return work(shapes[weight], argument(node, "groups", 6, 1)) * math.prod(shape[2:])


def work(weight: tuple[int, ...], groups: int) -> int:
    """Returns the multiply-adds per output cell; twice the real number for a depthwise convolution, which is twice as
    slow as others."""
    return math.prod(weight) * (2 if groups > 1 and weight[1] == 1 else 1)


def argument(node: fx.Node, name: str, place: int | None = None, default: object = None) -> object:
    """Returns the value of an argument, by its name or its place; for Python functions the place is looked up."""
    if name in node.kwargs:
        return node.kwargs[name]
    # Compiled functions have no signature: for them the caller has to know the place.
    if place is None and inspect.isfunction(node.target):
        names = list(inspect.signature(node.target).parameters)
        place = names.index(name) if name in names else None
        if place is not None and place >= len(node.args):
            return inspect.signature(node.target).parameters[name].default
    return node.args[place] if place is not None and place < len(node.args) else default
