"""A network, traced, as layers in which every output cell is made of a window of input cells.

A layer is a convolution or a pooling and all that works on each cell by itself after it: batch-norm, activations, sums
with other maps. The first thing that is none of these, and all that follows it, is left to run as it is.
"""

import math
import operator
from dataclasses import dataclass, field

import torch
from torch import fx, nn
from torch.nn import functional as F

from interactions.tiles import Window

ACTIVATIONS = (nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.PReLU, nn.ELU, nn.SELU, nn.CELU, nn.GELU, nn.SiLU, nn.Mish)
ACTIVATIONS += (nn.Softplus, nn.Sigmoid, nn.Tanh, nn.Hardtanh, nn.Hardsigmoid, nn.Hardswish)
PASSING = (nn.Identity, nn.Dropout, nn.Dropout2d)  # in evaluation mode
POINTWISE = (*ACTIVATIONS, *PASSING)
MODULES = {
    F.relu: nn.ReLU,
    torch.relu: nn.ReLU,
    "relu": nn.ReLU,
    F.relu6: nn.ReLU6,
    F.leaky_relu: nn.LeakyReLU,
    F.elu: nn.ELU,
    F.gelu: nn.GELU,
    F.silu: nn.SiLU,
    torch.sigmoid: nn.Sigmoid,
    torch.tanh: nn.Tanh,
    F.max_pool2d: nn.MaxPool2d,
    F.avg_pool2d: nn.AvgPool2d,
    F.adaptive_avg_pool2d: nn.AdaptiveAvgPool2d,
}
SUMS = {operator.add, operator.iadd, torch.add, "add", "add_"}


class NotTiled(Exception):
    """Why a node of the graph can't be computed tile by tile."""


@dataclass
class Layer:
    """Reads the value of one node, writes that of another.

    head: convolution, pooling, or None: the cells as they are; after: what then happens to each cell by itself, modules
    and nodes whose values are added; size: (H, W) of the output, channels: before and after.
    """

    name: str
    source: fx.Node
    value: fx.Node
    head: nn.Module | None
    window: Window
    size: tuple[int, int]
    channels: tuple[int, int]
    after: list[nn.Module | fx.Node] = field(default_factory=list)
    nodes: list[fx.Node] = field(default_factory=list)

    @property
    def macs(self) -> int:
        """Multiply-adds per output cell."""
        return self.head.weight.numel() if isinstance(self.head, nn.Conv2d) else 0

    @property
    def unfolds(self) -> bool:
        """Whether it is the product of a matrix with the cells of a window."""
        return isinstance(self.head, nn.Conv2d) and self.head.groups == 1

    @property
    def added(self) -> list[fx.Node]:
        return [op for op in self.after if isinstance(op, fx.Node)]


class Network:
    """The layers of a model, in order, and why they end where they do.

    image: the node of the input; shapes: of each node's value, for a batch of one; macs: multiply-adds of each node;
    stop: the name of the first node that is part of none, and the reason; read_after: by a number of layers, the nodes
    that these make, or the image, and that something else reads.
    """

    def __init__(self, model: nn.Module, shape: tuple[int, int, int]) -> None:
        """Raises whatever tracing or running the model does; ValueError if the trace is not what the model does."""
        self.model = model
        self.graph = fx.Tracer().trace(model)
        parameter = next(model.parameters())
        x = torch.randn(1, *shape, generator=torch.Generator().manual_seed(0)).to(parameter.device, parameter.dtype)
        recorder = _Shapes(model, graph=self.graph)
        with torch.inference_mode():
            if not torch.allclose(recorder.run(x), model(x), rtol=1e-3, atol=1e-6):
                raise ValueError("the traced operations do something else")
        self.shapes = recorder.shapes
        self.macs = {node: _macs(model, node, shape) for node, shape in self.shapes.items()}
        self.layers: list[Layer] = []
        self.image, *nodes = self.graph.nodes
        self.made = {self.image: -1}  # the layer that has made the value of a node
        self.stop = self._add_all(nodes)
        self.read_after = [self._read_after(count) for count in range(len(self.layers) + 1)]

    def _add_all(self, nodes: list[fx.Node]) -> tuple[str, str] | None:
        for node in nodes:
            try:
                self._add(node)
            except NotTiled as reason:
                return _name(node), str(reason)
        return None

    def _add(self, node: fx.Node) -> None:
        operands = [value for value in node.args if isinstance(value, fx.Node)]
        if not operands or any(operand not in self.made for operand in operands) or len(self.shapes.get(node, ())) != 4:
            raise NotTiled("it is no layer of feature maps")
        if any(len(operand.users) > 1 and self._is_overwritten(operand) for operand in operands):
            raise NotTiled("something overwrites what it reads")
        if node.target in SUMS:
            self._add_sum(node, operands)
            return
        if len(operands) != 1:
            raise NotTiled("it reads several maps and is no sum")
        module, (source,) = _module(self.model, node), operands
        window = _window(module, self.shapes[source], self.shapes[node])
        if window is None and self._last(source):
            self._append(self.made[source], node, module)
        else:
            self._begin(node, source, module, window)

    def _add_sum(self, node: fx.Node, operands: list[fx.Node]) -> None:
        if len(node.args) != 2 or len(operands) != 2 or node.kwargs:
            raise NotTiled("it is no sum of two maps")
        if any(self.shapes[operand] != self.shapes[node] for operand in operands):
            raise NotTiled("its maps have different sizes")
        earlier, later = sorted(operands, key=self.made.get)
        if self._last(later) and earlier is not later:
            self._append(self.made[later], node, earlier)
        else:
            self._begin(node, later, earlier, None)

    def _read_after(self, count: int) -> set[fx.Node]:
        made = {self.image, *(layer.value for layer in self.layers[:count])}
        inside = {node for layer in self.layers[:count] for node in layer.nodes}
        return {node for node in made if any(user not in inside for user in node.users)}

    def _is_overwritten(self, node: fx.Node) -> bool:
        """Whether anything that reads a value, under this node or one that passes it on, changes it in place."""
        for user in node.users:
            if user.args and user.args[0] is node:
                module = self.model.get_submodule(user.target) if user.op == "call_module" else None
                name = user.target if isinstance(user.target, str) else user.target.__name__
                in_place = user.target is operator.iadd or (module is None and name.endswith("_"))
                if in_place or getattr(module, "inplace", False) or user.kwargs.get("inplace", False):
                    return True
                if type(module) in PASSING and self._is_overwritten(user):
                    return True
        return False

    def _last(self, source: fx.Node) -> bool:
        """Whether what is done to a value can be done as it is made: nothing else reads it."""
        return len(source.users) == 1 and self.made[source] >= 0

    def _append(self, index: int, node: fx.Node, op: nn.Module | fx.Node) -> None:
        layer = self.layers[index]
        layer.after.append(op)
        layer.nodes.append(node)
        layer.value = node
        self.made[node] = index

    def _begin(self, node: fx.Node, source: fx.Node, op: nn.Module | fx.Node, window: Window | None) -> None:
        _, channels, *size = self.shapes[node]
        self.layers.append(
            Layer(
                name=_name(node),
                source=source,
                value=node,
                head=op if window else None,
                window=window or Window(),
                size=tuple(size),
                channels=(self.shapes[source][1], channels),
                after=[] if window else [op],
                nodes=[node],
            )
        )
        self.made[node] = len(self.layers) - 1


class _Shapes(fx.Interpreter):
    """Runs a graph and writes down the shapes of all tensors."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        self.shapes: dict[fx.Node, tuple[int, ...]] = {}

    def run_node(self, node: fx.Node) -> object:
        value = super().run_node(node)
        if isinstance(value, torch.Tensor):
            self.shapes[node] = tuple(value.shape)
        return value


def _macs(model: nn.Module, node: fx.Node, shape: tuple[int, ...]) -> int:
    """Multiply-adds of a convolution or linear layer whose value has this shape; of others none."""
    module = model.get_submodule(node.target) if node.op == "call_module" else None
    if isinstance(module, nn.Conv2d):
        return module.weight.numel() * math.prod(shape[2:])
    return module.weight.numel() * math.prod(shape[1:-1]) if isinstance(module, nn.Linear) else 0


def _name(node: fx.Node) -> str:
    return node.target if isinstance(node.target, str) else node.name


def _module(model: nn.Module, node: fx.Node) -> nn.Module:
    """The module that a node calls, or one that does what its function does."""
    if node.op == "call_module":
        module = model.get_submodule(node.target)
        if module._forward_pre_hooks or module._forward_hooks:
            raise NotTiled("it has hooks")
        return module
    if node.target not in MODULES:
        raise NotTiled("it is no known layer")
    try:
        return MODULES[node.target](*node.args[1:], **node.kwargs)
    except TypeError:
        raise NotTiled("its arguments are not known") from None


def _window(module: nn.Module, before: tuple[int, ...], after: tuple[int, ...]) -> Window | None:
    """The window of a module; None if it works on each cell by itself.

    Subclasses of torch's modules are not known: they may do something else.
    """
    if type(module) is nn.BatchNorm2d:
        if module.running_mean is None:
            raise NotTiled("it normalises with the statistics of the batch")
        return None
    if type(module) in POINTWISE:
        return None
    if type(module) is nn.AdaptiveAvgPool2d:
        return _adaptive(before[2:], after[2:])
    if type(module) not in (nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d):
        raise NotTiled("it is no known layer")
    kernel, dilation = _pair(module.kernel_size), _pair(getattr(module, "dilation", 1))
    strides, padding = _pair(module.stride), module.padding
    if isinstance(padding, str):
        padding = tuple(d * (k - 1) // 2 if padding == "same" else 0 for d, k in zip(dilation, kernel, strict=True))
    if strides[0] != strides[1]:
        raise NotTiled("its strides differ")
    if getattr(module, "padding_mode", "zeros") != "zeros":
        raise NotTiled(f"it pads with {module.padding_mode}")
    if isinstance(module, nn.AvgPool2d) and (
        module.ceil_mode or (any(_pair(padding)) and not module.count_include_pad)
    ):
        raise NotTiled("it averages over different numbers of cells")
    if getattr(module, "return_indices", False):
        raise NotTiled("it returns indices")
    return Window(kernel, dilation, _pair(padding), strides[0])


def _adaptive(before: tuple[int, ...], after: tuple[int, ...]) -> Window:
    """The average over windows of one size that do not overlap."""
    stride = before[0] // after[0]
    if before != tuple(stride * side for side in after):
        raise NotTiled("its windows have different sizes")
    return Window((stride, stride), stride=stride)


def _pair(value: int | tuple[int, ...]) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (value[0], value[-1])
