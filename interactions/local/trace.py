"""Traces a network as a graph of operations, in which nothing that comes from a checkpoint is a constant.

torch.fx runs a model's `forward` on proxies and records what happens to them. It computes everything else at once and
keeps the result: for `x / (self.std + 1e-5)`, where `std` is a buffer, it would keep the sum, and later checkpoints
would use the `std` of the first one. So buffers are proxies here, as parameters are: `self.std + 1e-5` is a node of the
graph, which reads `std` whenever the graph runs. Some ways to the weights bypass every proxy
(`self._buffers["std"].tolist()`): so the graph is compared with the model under other weights, too.
"""

import operator
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy

import torch
from torch import fx, nn

# The operations in checks of shapes, as in `assert x.shape[1] % 2 == 0`.
ASSERTED = {getattr, operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge, operator.mod}


def traced(model: nn.Module, shape: tuple[int, ...]) -> tuple[fx.Graph, dict[fx.Node, tuple[int, ...]]]:
    """Returns the graph, and the shape of each of its tensors for a batch of one input of this `shape`.

    The model stays unchanged: a copy of it takes all changes that a forward pass would make. Raises whatever tracing or
    running the model raises, and ValueError if the graph does not do what the model does.
    """
    copy, x = _copy(model), some_inputs(model, shape)
    # Every run is given a clone: a model may write to its input.
    with torch.no_grad(), _kept(copy):
        graph = _Tracer().trace(copy)
        _remove_assertions(graph)
        recorder = _Shapes(copy, graph)
        if not _same(recorder.run(x.clone()), copy(x.clone())):
            raise ValueError("the traced operations do something else")
        # A constant in the graph still fits the weights that it was traced with: only other weights reveal it.
        _change_weights(copy)
        if not _same(fx.Interpreter(copy, graph=graph).run(x.clone()), copy(x.clone())):
            raise ValueError("the traced operations do not follow its weights")
    for node in graph.nodes:  # tensors that the forward pass itself creates
        if node.op == "get_attr" and node.target.startswith("_tensor_constant"):
            setattr(model, node.target, getattr(copy, node.target))
    return graph, recorder.shapes


def some_inputs(model: nn.Module, shape: tuple[int, ...]) -> torch.Tensor:
    """Returns a batch of one, of the model's type and on its device: [1, *shape]."""
    parameter = next(model.parameters())
    x = torch.randn(1, *shape, generator=torch.Generator().manual_seed(0))
    # A separate generator leaves the study's random numbers as they are.
    return x.to(parameter.device, parameter.dtype)


def _copy(model: nn.Module) -> nn.Module:
    """Returns a copy with the same parameters and buffers, but its own attributes."""
    # deepcopy takes the objects in this dict as already copied.
    shared = {id(tensor): tensor for tensor in (*model.parameters(), *model.buffers())}
    return deepcopy(model, shared)


class _Tracer(fx.Tracer):
    # By default buffers are plain tensors, and everything computed from them alone is a constant; see above.
    proxy_buffer_attributes = True


def _remove_assertions(graph: fx.Graph) -> None:
    """Removes assertions and what is computed only for them: they would read maps, which would have to be assembled for
    them."""
    for node in reversed(graph.nodes):  # the nodes that read a node are removed before it
        if node.target is torch._assert or (node.target in ASSERTED and not node.users):
            graph.erase_node(node)


class _Shapes(fx.Interpreter):
    """Runs a graph and records the shapes of all tensors: shapes[node]."""

    def __init__(self, model: nn.Module, graph: fx.Graph) -> None:
        super().__init__(model, graph=graph)
        self.shapes: dict[fx.Node, tuple[int, ...]] = {}

    def run_node(self, node: fx.Node) -> object:
        value = super().run_node(node)
        if isinstance(value, torch.Tensor):
            self.shapes[node] = tuple(value.shape)
        return value


@contextmanager
def _kept(model: nn.Module) -> Iterator[None]:
    """Restores parameters and buffers at the end, whatever happens to them."""
    tensors = [*model.parameters(), *model.buffers()]
    before = [tensor.clone() for tensor in tensors]
    try:
        yield
    finally:
        for tensor, kept in zip(tensors, before, strict=True):
            tensor.copy_(kept)


def _change_weights(model: nn.Module) -> None:
    """Multiplies every row and every column of all parameters and buffers by a different factor; fills tensors that are
    0."""
    # One factor for all could remain unnoticed, as a later norm divides it out. Steps of 0.618 (the golden ratio),
    # modulo 1, spread evenly, so that neighbours get different factors. All are at least 1.05, as 1 changes nothing.
    for number, tensor in enumerate((*model.parameters(), *model.buffers())):
        if tensor.is_floating_point():
            if not tensor.any():
                tensor.fill_(0.1)  # no factor changes a 0
            for axis in {0, tensor.dim() - 1} if tensor.dim() else ():
                place = torch.arange(tensor.shape[axis], device=tensor.device).view(
                    -1, *[1] * (tensor.dim() - 1 - axis)
                )
                tensor.mul_(1.05 + 0.2 * (0.618 * (number + 1 + place) % 1))
            if tensor.dim() == 0:
                tensor.mul_(1.05 + 0.2 * (0.618 * number % 1))


def _same(found: object, expected: object) -> bool:
    # The same operations in the same order round alike; a weight that the graph misses is wrong by 5 % or more.
    return torch.allclose(found, expected, rtol=1e-3, atol=1e-6, equal_nan=True)
