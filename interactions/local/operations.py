"""Facts about a traced network's operations: their names, use of memory, arguments and cost.

Which of them can be computed tile by tile is said in `windowed` and `cellwise`.
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
# They give their operand's memory, always or (`contiguous`, `to` and the like) where nothing is to be done.
VIEWS = {"permute", "transpose", "movedim", "view", "view_as", "reshape", "flatten", "unflatten", "squeeze",
         "unsqueeze", "expand", "expand_as", "chunk", "split", "unbind", "narrow", "select", "getitem", "contiguous",
         "detach", "float", "double", "to", "type", "type_as", *RANDOM}  # fmt: skip
# Known to give memory of their own. What is neither here nor among the views may do either.
MAKING = ELEMENTWISE - {"contiguous"} | OVER_CHANNELS
MAKING |= {"cat", "conv2d", "linear", "batch_norm", "layer_norm", "rms_norm", "group_norm", "matmul", "softmax",
           "max_pool2d", "avg_pool2d", "adaptive_avg_pool2d", "adaptive_max_pool2d", "interpolate", "pad"}  # fmt: skip
# An `add` of some other module may be anything.
LIBRARIES = ("torch.", "torchvision.ops.", "_operator.")

Shapes = Mapping[fx.Node, tuple[int, ...]]


class NotTiled(Exception):
    """Why a node of the graph can't be computed tile by tile."""


def module_of(model: nn.Module, node: fx.Node) -> nn.Module | None:
    """The module that a node calls. Raises NotTiled if it does something else than its class."""
    module = model.get_submodule(node.target) if node.op == "call_module" else None
    if module is None:
        return None
    # Its class tells what a module does, unless something was put in the way of it: hooks, a forward pass of this one
    # object (in `vars`, where the methods of a class are not), training mode.
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
    ends = name.endswith("_") and not name.startswith("_")  # add_, and not __add__
    return ends or name in IN_PLACE or getattr(module, "inplace", False) or argument(node, "inplace") is True


def passes_on(model: nn.Module, node: fx.Node) -> bool:
    """Whether what a node gives may lie in the memory of what it is given."""
    if node.op == "call_module":
        return isinstance(model.get_submodule(node.target), (*PASSING, nn.Flatten))
    return node.target is getattr or name_of(node) in VIEWS


def may_pass_on(model: nn.Module, node: fx.Node) -> bool:
    """The same, of all operations that are not known to make a new tensor."""
    # To think that a value is shared costs speed, to miss that it is would cost the result.
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
    """Multiply-adds per output cell; of a depthwise convolution twice as many as it has, for it is twice as slow as
    others."""
    return math.prod(weight) * (2 if groups > 1 and weight[1] == 1 else 1)


def argument(node: fx.Node, name: str, place: int | None = None, default: object = None) -> object:
    """The value of an argument, by its name or its place; Python functions tell the place themselves."""
    if name in node.kwargs:
        return node.kwargs[name]
    # Functions that are compiled have no signature: for them the caller has to know the place.
    if place is None and inspect.isfunction(node.target):
        names = list(inspect.signature(node.target).parameters)
        place = names.index(name) if name in names else None
        if place is not None and place >= len(node.args):
            return inspect.signature(node.target).parameters[name].default
    return node.args[place] if place is not None and place < len(node.args) else default
