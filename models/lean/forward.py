"""A network's forward pass with fewer operations, and the same result but for rounding.

    captured    the operations of the network, with its weights as inputs
    demanded    without what nobody reads
    one_query   without the keys and values of an attention with one query
    straight    without copies that only change the order of entries
    folded      without batch-norms
    packed      on a CPU: convolutions that end with ReLU or a sum, with weights in the processor's order

What depends on weights alone is computed by `prepare`, once for each checkpoint. The rest is one graph, for inputs of
one shape and type. It can be compiled, once for all checkpoints, as its weights are inputs.
"""

import logging
from collections.abc import Callable

import torch
from torch import fx, nn

from models.lean.captured import Captured, NotCaptured, captured
from models.lean.demanded import demanded
from models.lean.folded import folded
from models.lean.one_query import one_query
from models.lean.packed import can_pack, packed
from models.lean.straight import straight


class Lean:
    """Evaluates the model with the weights that it had at the last `prepare`."""

    def __init__(self, model: nn.Module, found: Captured, compiled: bool = False) -> None:
        """found: the model's graph, or that of its last part."""
        self.model = model
        found = rewritten(found)
        if found.inputs and not compiled and can_pack(found.output.meta["val"]):
            found = packed(found)
        self.found = found
        self._fixed = found.fixed()
        self._given = _read_by_the_rest(found, self._fixed)
        self._run: Callable = _rest(found, self._fixed, self._given)
        if compiled:
            self._run = compiled_for_one_shape(self._run)
        self._weights: list[torch.Tensor] = []

    def prepare(self) -> None:
        """Computes what depends on the model's weights alone."""
        values = self.found.evaluated(self._fixed, self.found.values(self.model))
        self._weights = [values[node] for node in self._given]

    def __call__(self, *inputs: torch.Tensor) -> torch.Tensor:
        """Returns what the model returns for these inputs, which are of the shape and type of its graph."""
        return self._run(*self._weights, *inputs)


def rewritten(found: Captured) -> Captured:
    """Returns the graph with fewer operations."""
    return folded(straight(demanded(one_query(demanded(found)))))


# Allowed differences, in epsilons of the type and as a share of the largest result: what differs more is a mistake, or
# a network that rounds so much that it is better left alone.
CLOSE, CLOSE_IN_HALF = 1024, 32


def lean(model: nn.Module, inputs: torch.Tensor, compiled: bool = False) -> Lean:
    """Returns the lean forward pass of a model in evaluation mode for inputs of this shape, type and device, with the
    weights that the model has.

    It was compared with the model on `inputs`. Raises NotCaptured.
    """
    found = Lean(model, captured(model, inputs), compiled)
    found.prepare()
    with torch.no_grad():
        check(found(inputs), model(inputs))
    return found


def check(found: torch.Tensor, expected: torch.Tensor) -> None:
    """Raises NotCaptured if the lean forward pass does not return what the model returns."""
    close = torch.finfo(expected.dtype).eps * (CLOSE if expected.dtype.itemsize > 2 else CLOSE_IN_HALF)
    alike = found.shape == expected.shape and found.dtype == expected.dtype
    largest = float(expected.double().abs().nan_to_num(0, posinf=0).max())
    if not alike or not torch.allclose(found.double(), expected.double(), rtol=0, atol=close * largest, equal_nan=True):
        raise NotCaptured("its captured forward pass computes something else")


def compiled_for_one_shape(run: Callable) -> Callable:
    """Returns the function or module; its first call compiles it for inputs of that shape."""
    # On a machine with a CUDA compiler and no GPU, torch would say that it finds no CUDA.
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)
    return torch.compile(run, dynamic=False)


def _read_by_the_rest(found: Captured, fixed: set[fx.Node]) -> list[fx.Node]:
    return [node for node in found.graph.nodes if node in fixed and any(user not in fixed for user in node.users)]


def _rest(found: Captured, fixed: set[fx.Node], given: list[fx.Node]) -> fx.GraphModule:
    """Returns a module from what is `given` and the inputs to the result."""
    graph, new = fx.Graph(), {}
    for node in (*given, *found.inputs):
        new[node] = graph.placeholder(node.name)
    for node in found.graph.nodes:
        if node not in fixed and node not in found.inputs and node.op != "output":
            new[node] = graph.node_copy(node, new.__getitem__)
    graph.output(new[found.output])
    return fx.GraphModule(nn.Module(), graph)
