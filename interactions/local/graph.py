"""A network, traced, as layers in which every output cell is made of a window of input cells.

A layer is a convolution or a pooling and all that works on each cell by itself after it: batch-norm, activations, sums
and concatenations with other maps. Take `relu(bn(conv(x)) + x)`: one layer, that reads the windows of the map x, and
adds the cells of x to what it makes of them. The first thing that is none of these, and all that follows it, is left
to run as it is.

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

Maps are called by the operation that gives them. If only layer 0 is run on tiles, two maps have to be put together for
the rest: relu, and x, which the sum reads again; if layers 0 and 1 are, it is one: add. So tiles are best left at the
end of a block. An operation joins the layer before it if nothing else reads that layer's value. Otherwise the value has
to be kept, and the operation begins a layer of its own, without a window.
"""

import math
from dataclasses import dataclass, field

from torch import fx, nn

from interactions.local.cellwise import cellwise
from interactions.local.operations import NotTiled, is_cheap, macs_of, may_pass_on, overwrites, passes_on
from interactions.local.tiles import Window
from interactions.local.trace import traced
from interactions.local.windowed import Head, head

# Attributes and methods that tell nothing of a map's cells: a network that asks for them stays local.
OF_SHAPES = {"shape", "ndim", "dtype", "device"}
METHODS_OF_SHAPES = {"size", "dim", "ndimension"}


@dataclass
class Op:
    """What happens to each cell of a layer. maps: what it reads besides the value before it."""

    node: fx.Node
    maps: list[fx.Node]


@dataclass
class Layer:
    """Reads the value of one node, writes that of another.

    head: convolution, pooling, or None: the cells as they are; after: what then happens to each cell by itself;
    size: (H, W) of the output; channels: before and after; widest: the most channels that a cell has on the way;
    added: the other maps that it reads, with their channels; macs: multiply-adds per output cell, after the head;
    passes: how many numbers per output cell are written on the way, by what is neither folded nor done in place.
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
        """Whether it is the product of a matrix with the cells of a window."""
        return self.is_convolution and self.head.groups == 1


class Network:
    """The layers of a model, in order, and why they end where they do.

    image: the node of the input; shapes: of each node's value, for a batch of one; macs: multiply-adds of each node;
    fixed: the nodes that do not depend on the input, in order; last: those whose maps have their channels last;
    stop: the name of the first node that is part of no layer, and the reason; read_after: by a number of layers, the
    nodes that these make, or the image, and that something else reads.
    """

    def __init__(self, model: nn.Module, shape: tuple[int, int, int]) -> None:
        """Raises whatever tracing or running the model does; ValueError if the trace is not what the model does."""
        self.model = model
        self.graph, self.shapes = traced(model, shape)
        self.image, *nodes = self.graph.nodes
        # Weights and what is computed from them: named here, and evaluated by the weights of each checkpoint.
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
        # An operand that is neither fixed nor a map is a number that was asked for, as in x.view(x.size(0), -1).
        if not operands or any(operand not in self.made for operand in operands) or len(self.shapes.get(node, ())) != 4:
            raise NotTiled("its result is not a feature map")
        # In the network, what reads the same value later sees what was written to it. Layers write to memory of
        # their own, where nobody would.
        if any(len(operand.users) > 1 and self._is_overwritten(operand) for operand in operands):
            raise NotTiled("something overwrites what it reads")
        found = head(self.model, node, self._fixed, self.shapes)
        if found:
            if operands[0] in self.last:  # it takes columns and channels for rows and columns
                raise NotTiled("it reaches over several cells")
            self._begin(node, operands, found)
            return
        maps = {operand: operand in self.last for operand in operands}
        if cellwise(self.model, node, maps, self._fixed, self.shapes):
            self.last.add(node)
        # All other operands are complete maps when the latest is made, whose cells are at hand just then.
        latest = max(operands, key=self.made.get)
        if self._is_read_once(latest):
            self._append(
                self.layers[self.made[latest]], node, [operand for operand in operands if operand is not latest]
            )
        else:
            self._begin(node, operands, None)

    def _check_fixed(self) -> None:
        """What does not depend on the input is computed once, and has to stay as it is."""
        for node in self.graph.nodes:
            first = node.all_input_nodes[0] if node.all_input_nodes else None
            if first in self._fixed and overwrites(self.model, node):
                # Its own result may be overwritten by what is fixed, too. A weight may not: each run of the graph would
                # change it once more.
                own = node in self._fixed and first.op != "get_attr" and len(first.users) == 1
                if not own:
                    raise ValueError("it overwrites what it computes from its weights")

    def _read_after(self, count: int) -> set[fx.Node]:
        made = {self.image, *(layer.value for layer in self.layers[:count])}
        # Questions for a shape are answered without the map, see `Local.logits`.
        inside = {node for layer in self.layers[:count] for node in layer.nodes} | self.of_shapes
        return {node for node in made if any(user not in inside for user in node.users)}

    def _is_overwritten(self, node: fx.Node) -> bool:
        """Whether anything that reads a value, under this node or one that passes it on, changes it in place."""
        for user in node.users:
            if user.all_input_nodes[0] is node:
                if overwrites(self.model, user):
                    return True
                if may_pass_on(self.model, user) and self._is_overwritten(user):
                    return True
        return False

    def _is_read_once(self, source: fx.Node) -> bool:
        """What is done to such a value can be done as it is made."""
        # The image (-1) is made by no layer.
        return self.made[source] >= 0 and len(source.users.keys() - self.of_shapes) == 1

    def _begin(self, node: fx.Node, operands: list[fx.Node], found: Head | None) -> None:
        source = max(operands, key=self.made.get)
        before = self.channels(source)
        # Until its first operation is given, what it makes is what it reads.
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
        layer.macs += self.macs[node] // math.prod(layer.size)  # those of the node are of the whole map
        layer.passes += 0 if is_cheap(self.model, node) else self.channels(node)
        self._give(layer, node)

    def _give(self, layer: Layer, node: fx.Node) -> None:
        """The layer's value is now the node's."""
        layer.nodes.append(node)
        layer.value = node
        layer.channels = layer.channels[0], self.channels(node)
        layer.widest = max(layer.widest, self.channels(node))
        self.made[node] = layer.number


def _not_from(image: fx.Node, nodes: list[fx.Node]) -> list[fx.Node]:
    """The nodes that do not depend on the image."""
    # In the order of the graph an operand comes before what reads it: one pass finds all.
    dependent, fixed = {image}, []
    for node in nodes:
        if node.op == "output" or any(operand in dependent for operand in node.all_input_nodes):
            dependent.add(node)
        else:
            fixed.append(node)
    return fixed


def _of_shapes(nodes: list[fx.Node], fixed: set[fx.Node]) -> set[fx.Node]:
    """The nodes that ask a tensor for its shape, type or device, and those that are computed from these alone."""
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
