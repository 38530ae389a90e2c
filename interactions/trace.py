"""A network as a graph of operations, in which nothing that comes from a checkpoint is a constant.

torch.fx runs a model's `forward` on proxies and writes down what happens to them. What does not touch a proxy it simply
computes, and keeps the result: of `x / (self.std + 1e-5)`, where `std` is a buffer, it would keep the sum, and every
checkpoint that is loaded later would be divided by the first one's. So buffers are proxies here, as parameters are:
`self.std + 1e-5` is a node of the graph, which reads `std` whenever the graph runs. There are ways to the weights that
no proxy sees (`self._buffers["std"].tolist()`): the graph is compared with the model under other weights, too.
"""

import operator
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import fx, nn

ASSERTED = {getattr, operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge, operator.mod}


def traced(model: nn.Module, shape: tuple[int, ...]) -> tuple[fx.Graph, dict[fx.Node, tuple[int, ...]]]:
    """The graph, and the shape of each of its tensors for a batch of one input of this `shape`.

    Raises whatever tracing or running the model does; ValueError if the graph is not what the model does.
    """
    graph = _Tracer().trace(model)
    _remove_assertions(graph)
    parameter = next(model.parameters())
    x = torch.randn(1, *shape, generator=torch.Generator().manual_seed(0)).to(parameter.device, parameter.dtype)
    recorder = _Shapes(model, graph)
    with torch.inference_mode():
        if not _same(recorder.run(x), model(x)):
            raise ValueError("the traced operations do something else")
        with _other_weights(model):
            if not _same(fx.Interpreter(model, graph=graph).run(x), model(x)):
                raise ValueError("the traced operations do not follow its weights")
    return graph, recorder.shapes


class _Tracer(fx.Tracer):
    proxy_buffer_attributes = True


def _remove_assertions(graph: fx.Graph) -> None:
    """And what is computed for them alone: they would read maps, which had to be put together for them."""
    for node in reversed(graph.nodes):
        if node.target is torch._assert or (node.target in ASSERTED and not node.users):
            graph.erase_node(node)


class _Shapes(fx.Interpreter):
    """Runs a graph and writes down the shapes of all tensors: shapes[node]."""

    def __init__(self, model: nn.Module, graph: fx.Graph) -> None:
        super().__init__(model, graph=graph)
        self.shapes: dict[fx.Node, tuple[int, ...]] = {}

    def run_node(self, node: fx.Node) -> object:
        value = super().run_node(node)
        if isinstance(value, torch.Tensor):
            self.shapes[node] = tuple(value.shape)
        return value


@contextmanager
def _other_weights(model: nn.Module) -> Iterator[None]:
    """Every parameter and buffer changed by a factor of its own, or filled if it is 0; afterwards as before."""
    tensors = [tensor for tensor in (*model.parameters(), *model.buffers()) if tensor.is_floating_point()]
    before = [tensor.clone() for tensor in tensors]
    try:
        for number, tensor in enumerate(tensors):
            factor = 1.05 + 0.2 * (0.618 * number % 1)
            tensor.mul_(factor) if tensor.any() else tensor.fill_(factor / 10)
        yield
    finally:
        for tensor, kept in zip(tensors, before, strict=True):
            tensor.copy_(kept)


def _same(found: object, expected: object) -> bool:
    return torch.allclose(found, expected, rtol=1e-3, atol=1e-6, equal_nan=True)
