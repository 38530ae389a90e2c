"""Runs the rest of a network on whole maps, once they are put together from entries.

Often this is where most of the time goes: the last stage of ResNet-50 sees all variables, and takes 70 % of it. So the
rest can run lean (models/lean) and compiled, for maps of one shape.
"""

from collections.abc import Sequence

import torch
from torch import fx, nn

from conf.first_line import first_line
from models.lean.captured import Captured, NotCaptured, captured
from models.lean.forward import Lean, check

Maps = dict[fx.Node, torch.Tensor]


class Rest:
    """The operations of a traced network that come after some of its maps."""

    def __init__(
        self, model: nn.Module, graph: fx.Graph, maps: Sequence[fx.Node], done: dict[fx.Node, tuple[int, ...]]
    ) -> None:
        """graph: of the whole network; maps: the nodes whose values are given; done: the other nodes before them, with
        the shapes of their values for a batch of one, which is all that is still asked of them."""
        self.model = model
        self.module = fx.GraphModule(model, _after(graph, maps, done))
        # By the shapes and type of maps, and whether compiled; None: it runs as it is.
        self.lean: dict[tuple, Lean | None] = {}
        self._prepared: set[tuple] = set()
        self.why = ""  # why it runs as it is, if it had to

    def forget(self) -> None:
        """Must be called when the model's weights have changed."""
        self._prepared.clear()

    def __call__(self, maps: list[torch.Tensor], lean: bool, compiled: bool = False) -> torch.Tensor:
        """Returns the logits [B, classes]. maps: [B, C, H, W] each, or as the network has them; compiled: if it is
        lean. Raises whatever keeps it from being compiled."""
        if not lean:
            return fx.Interpreter(self.model, graph=self.module.graph).run(*maps)
        key = (compiled, maps[0].dtype, *(x.shape for x in maps))
        if key not in self._prepared:
            self.lean[key] = self._prepared_lean(key, maps, compiled)
            self._prepared.add(key)
        if self.lean[key] is None:
            return self(maps, lean=False)
        return self.lean[key](*maps)

    def _prepared_lean(self, key: tuple, maps: list[torch.Tensor], compiled: bool) -> Lean | None:
        """Returns a lean rest that was compared with the rest as it is, for the weights that the model has."""
        if key in self.lean and self.lean[key] is None:
            return None
        try:
            lean = self.lean.get(key) or Lean(self.model, self._captured(maps), compiled)
            lean.prepare()
            check(lean(*maps), self(maps, lean=False))
        except torch.OutOfMemoryError:
            raise
        except Exception as error:  # whatever a model does that is not made for this
            if compiled and (key not in self.lean or not isinstance(error, NotCaptured)):
                raise
            self.why = first_line(error)
            return None
        return lean

    def _captured(self, maps: list[torch.Tensor]) -> Captured:
        module = fx.GraphModule(self.model, self.module.graph)
        found = captured(module, *maps)
        # The module has tensors as buffers that the model itself does not have as such.
        mine = {name for name, _ in (*self.model.named_parameters(), *self.model.named_buffers())}
        others = {node: module.get_buffer(name) for node, name in found.weights.items() if name not in mine}
        weights = {node: name for node, name in found.weights.items() if name in mine}
        return Captured(found.graph, found.inputs, weights, found.constants | others)


def _after(graph: fx.Graph, maps: Sequence[fx.Node], done: dict[fx.Node, tuple[int, ...]]) -> fx.Graph:
    """Returns the graph of what comes after the maps, which are its inputs."""
    rest, new = fx.Graph(), {}
    for node in maps:
        new[node] = rest.placeholder(node.name)

    def value(node: fx.Node) -> fx.Node:
        if node not in new:  # a map that is done: only its shape is asked for, which needs no memory
            new[node] = rest.call_function(_shaped, (new[maps[0]], tuple(done[node])))
        return new[node]

    for node in graph.nodes:
        if node not in new and node not in done:
            new[node] = rest.node_copy(node, value)
    return rest


def _shaped(like: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
    return like.new_empty(()).expand(len(like), *shape[1:])
