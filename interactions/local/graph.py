"""Splits a traced network into layers, in which every output cell is made from a window of input cells.

A layer is a convolution or a pooling and all later operations that work on each cell separately: batch-norm,
activations, sums and concatenations with other maps. Take `relu(bn(conv(x)) + x)`: this is one layer, which reads the
windows of the map x, and adds the cells of x to their result. The first operation of another kind, and everything after
it, runs as it is.

An example. The network

    y = relu(norm(a(x)))                  a, b: convolutions of 3 x 3 cells, padded by 1
    z = pool(b(y) + x)                    pool: the largest of 2 x 2 cells
    logits = head(z.flatten(1))

on images of 8 x 8 pixels is traced to eight operations, which become three layers and a rest:

    layer   operations       reads windows of    adds cells of   gives
    0       a, norm, relu    x, 3 x 3                            8 x 8 cells
    1       b, add           relu, 3 x 3         x               8 x 8 cells
    2       pool             add, 2 x 2                          4 x 4 cells
    stop    flatten          "its result is not a feature map"

Maps have the name of the operation that returns them. If only layer 0 runs on tiles, two maps have to be put together
for the rest: relu, and x, which the sum reads again; if layers 0 and 1 do, only one: add. So it is best to leave the
tiles at the end of a block. An operation joins the layer before it if nothing else reads that layer's value. Otherwise
the value has to be kept, and the operation begins a new layer without a window.
"""

import math
from dataclasses import dataclass, field

from torch import fx, nn

from interactions.local.cellwise import cellwise
from interactions.local.operations import NotTiled, is_cheap, macs_of, may_pass_on, overwrites, passes_on
from interactions.local.tiles import Window
from interactions.local.trace import traced
from interactions.local.windowed import Head, head

# Attributes and methods that do not depend on a map's cells: a network that uses them stays local.
OF_SHAPES = {"shape", "ndim", "dtype", "device"}
METHODS_OF_SHAPES = {"size", "dim", "ndimension"}


@dataclass
class Op:
    """An operation on each cell of a layer. maps: the maps that it reads in addition to the value before it."""

    node: fx.Node
    maps: list[fx.Node]


@dataclass
class Layer:
    """A layer, which reads the value of one node and writes that of another.

    head: convolution, pooling, or None for the cells as they are; after: the later operations on each cell; size: (H,
    W) of the output; channels: before and after; widest: the most channels that a cell has in between; added: the other
    maps that it reads, with their channels; macs: multiply-adds per output cell, after the head; passes: how many
    numbers per output cell are written in between, by operations that are neither folded nor done in place.
    """

    number: int
    name: str
    source: fx.Node
    value: fx.Node
    head: Head | None
    size: tuple[int, int]
    channels: tuple[int, int]
    widest: int
    after: list[Op] = field(default_factory=list)
    nodes: list[fx.Node] = field(default_factory=list)
    added: dict[fx.Node, int] = field(default_factory=dict)
    macs: int = 0
    passes: int = 0

    @property
    def window(self) -> Window:
        return self.head.window if self.head else Window()

    @property
    def is_convolution(self) -> bool:
        return self.head is not None and self.head.kind == "conv"

    @property
    def unfolds(self) -> bool:
        """Whether the layer can be computed as the product of a matrix with the cells of a window."""
        return self.is_convolution and self.head.groups == 1


class Network:
    """The layers of a model, in order, and the reason why they end.

    image: the node of the input; shapes: of each node's value, for a batch of one; macs: multiply-adds of each node;
    fixed: the nodes that do not depend on the input, in order; last: those whose maps have their channels last; stop:
    the name of the first node that is not part of a layer, and the reason; read_after: for each number of layers, the
    nodes among their values and the image that something after them reads.
    """

    def __init__(self, model: nn.Module, shape: tuple[int, int, int]) -> None:
        """Raises whatever tracing or running the model raises, and ValueError if the trace does not do what the model
        does."""
        self.model = model
        self.graph, self.shapes = traced(model, shape)
        self.image, *nodes = self.graph.nodes
        # Weights and what is computed from them: found here, and evaluated with the weights of each checkpoint.
        self.fixed = _not_from(self.image, nodes)
        self._fixed = set(self.fixed)
        self.macs = {node: macs_of(model, node, self.shapes) for node in self.shapes if node not in self._fixed}
        self.written = {node for node in self.macs if not passes_on(model, node)}
        self.layers: list[Layer] = []
        # The shape alone does not say where the channels are: [B, 8, 8, 8] may be either.
        self.last: set[fx.Node] = set()
        self.made = {self.image: -1}  # the layer that has made the value of a node
        self.of_shapes = _of_shapes(nodes, self._fixed)
        self._check_fixed()
        self.stop = self._add_all(nodes)
        self.read_after = [self._read_after(count) for count in range(len(self.layers) + 1)]

    def channels(self, node: fx.Node) -> int:
        return self.shapes[node][3 if node in self.last else 1]

    def size(self, node: fx.Node) -> tuple[int, int]:
        shape = self.shapes[node]
        return shape[1:3] if node in self.last else shape[2:]

    def _add_all(self, nodes: list[fx.Node]) -> tuple[str, str] | None:
        for node in nodes:
            if node in self._fixed or node in self.of_shapes:
                continue
            try:
                self._add(node)
            except NotTiled as reason:
                return _name(node), str(reason)
        return None

    def _add(self, node: fx.Node) -> None:
        operands = [operand for operand in node.all_input_nodes if operand not in self._fixed]
        # An operand that is neither fixed nor a map is a number, as in x.view(x.size(0), -1).
        if not operands or any(operand not in self.made for operand in operands) or len(self.shapes.get(node, ())) != 4:
            raise NotTiled("its result is not a feature map")
        # In the network, later readers of the same value see what was written to it. Layers write to their own memory,
        # where these readers would not see it.
        if any(len(operand.users) > 1 and self._is_overwritten(operand) for operand in operands):
            raise NotTiled("something overwrites what it reads")
        found = head(self.model, node, self._fixed, self.shapes)
        if found:
            if operands[0] in self.last:  # it would treat columns and channels as rows and columns
                raise NotTiled("it reaches over several cells")
            self._begin(node, operands, found)
            return
        maps = {operand: operand in self.last for operand in operands}
        if cellwise(self.model, node, maps, self._fixed, self.shapes):
            self.last.add(node)
        # All other operands are complete maps when the latest one is made, whose cells are available at that moment.
        latest = max(operands, key=self.made.get)
        if self._is_read_once(latest):
            self._append(
                self.layers[self.made[latest]], node, [operand for operand in operands if operand is not latest]
            )
        else:
            self._begin(node, operands, None)

    def _check_fixed(self) -> None:
        """Raises ValueError if an operation overwrites what does not depend on the input, which is computed only
        once."""
        for node in self.graph.nodes:
            first = node.all_input_nodes[0] if node.all_input_nodes else None
            if first in self._fixed and overwrites(self.model, node):
                # A fixed operation may overwrite the result of another one. It may not overwrite a weight: each run of
                # the graph would change it again.
                own = node in self._fixed and first.op != "get_attr" and len(first.users) == 1
                if not own:
                    raise ValueError("it overwrites what it computes from its weights")

    def _read_after(self, count: int) -> set[fx.Node]:
        made = {self.image, *(layer.value for layer in self.layers[:count])}
        # Operations that ask for a shape do not need the map, see `Local.logits`.
        inside = {node for layer in self.layers[:count] for node in layer.nodes} | self.of_shapes
        return {node for node in made if any(user not in inside for user in node.users)}

    def _is_overwritten(self, node: fx.Node) -> bool:
        """Returns whether any reader of a value changes it in place, under this node or another one that passes it
        on."""
        for user in node.users:
            if user.all_input_nodes[0] is node:
                if overwrites(self.model, user):
                    return True
                if may_pass_on(self.model, user) and self._is_overwritten(user):
                    return True
        return False

    def _is_read_once(self, source: fx.Node) -> bool:
        """Returns whether only one operation reads the value, so that this operation can run as soon as the value is
        made."""
        # The image (-1) does not come from a layer.
        return self.made[source] >= 0 and len(source.users.keys() - self.of_shapes) == 1

    def _begin(self, node: fx.Node, operands: list[fx.Node], found: Head | None) -> None:
        source = max(operands, key=self.made.get)
        before = self.channels(source)
        # Until it gets its first operation, its value is its source.
        layer = Layer(
            len(self.layers), _name(node), source, source, found, tuple(self.size(node)), (before, before), before
        )
        self.layers.append(layer)
        if found:
            self._give(layer, node)
        else:
            self._append(layer, node, [operand for operand in operands if operand is not source])

    def _append(self, layer: Layer, node: fx.Node, others: list[fx.Node]) -> None:
        layer.after.append(Op(node, others))
        layer.added |= {other: self.channels(other) for other in others}
        layer.macs += self.macs[node] // math.prod(layer.size)  # those of the node are for the whole map
        layer.passes += 0 if is_cheap(self.model, node) else self.channels(node)
        self._give(layer, node)

    def _give(self, layer: Layer, node: fx.Node) -> None:
        """Makes the node's value the layer's value."""
        layer.nodes.append(node)
        layer.value = node
        layer.channels = layer.channels[0], self.channels(node)
        layer.widest = max(layer.widest, self.channels(node))
        self.made[node] = layer.number


def _not_from(image: fx.Node, nodes: list[fx.Node]) -> list[fx.Node]:
    """Returns the nodes that do not depend on the image."""
    # In the order of the graph an operand comes before what reads it: one pass finds all.
    dependent, fixed = {image}, []
    for node in nodes:
        if node.op == "output" or any(operand in dependent for operand in node.all_input_nodes):
            dependent.add(node)
        else:
            fixed.append(node)
    return fixed


def _of_shapes(nodes: list[fx.Node], fixed: set[fx.Node]) -> set[fx.Node]:
    """Returns the nodes that ask a tensor for its shape, type or device, and those that are computed from these
    alone."""
    found = set()
    for node in nodes:
        asks = node.op == "call_method" and node.target in METHODS_OF_SHAPES
        asks = asks or (node.target is getattr and node.args[1] in OF_SHAPES)
        from_these = {operand for operand in node.all_input_nodes if operand not in fixed}
        if node not in fixed and node.op != "output" and (asks or (from_these and from_these <= found)):
            found.add(node)
    return found


def _name(node: fx.Node) -> str:
    return node.target if isinstance(node.target, str) else node.name
