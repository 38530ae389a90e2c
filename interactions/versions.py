"""Masks what the first operations make of an input, instead of the input, where that is possible.

A vision transformer cuts its input into tokens that see one variable each, and until the first attention every token
goes its own way: embedding, norm, query, key and value. So a token of a masked input has one of two *versions*: that of
the sample with all variables kept, or with none. Both are computed once, and masking means to select. An example with
three tokens, the first two of variable 0 and the last of variable 1, and T = {0}:

    all kept       q0 q1 q2
    none kept      b0 b1 b2
    masked, x_T    q0 q1 b2

Where this ends is found from the operations (models/lean/captured.py), and not from the kind of network. Each value has
*owners*, the variable that each of its entries belongs to: a reshape moves the owners as it moves the entries, a
linear layer gives a row to the owner of the whole row. An operation that mixes variables has no owners, and
what it reads is what is masked: for a convolutional network that is the input itself.
"""

from dataclasses import dataclass

import torch
from torch import fx, nn
from torch.nn import functional as F
from torch.utils._pytree import tree_leaves

from interactions.variables.masking import masked
from models.lean.captured import Captured, aten, of_convolution
from models.lean.places import MOVES

# Operations on whole rows, and on the entries themselves, wherever these come from or go to.
ROWS = {aten.linear.default, aten.layer_norm.default, aten.rms_norm.default}
MOVING = {*MOVES, aten.expand.default, aten.index.Tensor, aten.gather.default}
OF_SHAPES = {aten.new_ones.default, aten.new_zeros.default, aten.new_full.default, aten.zeros_like.default,
             aten.ones_like.default, aten.full_like.default}  # fmt: skip
JOINING = {aten.cat.default, aten.stack.default}


@dataclass(frozen=True)
class Version:
    """What a value may be, for S samples. kept, none: [S, ...], with all variables and with none; member: [S, ...], or
    a shape that broadcasts to it, the bit of the owner of each entry; dim: the dimension of the batch in the value."""

    kept: torch.Tensor
    none: torch.Tensor
    member: torch.Tensor
    dim: int

    def of(self, which: torch.Tensor, subset: torch.Tensor) -> torch.Tensor:
        """Returns the value for the masked inputs (which[k], subset[k]), k < K."""
        if len(self.kept) == 1:  # the same sample: no copies of it are needed
            found = masked(self.kept, self.none, self.member, subset)
        else:
            found = masked(self.kept[which], self.none[which], self.member[which], subset)
        return found.movedim(0, self.dim) if self.dim else found


class Beginning:
    """The operations of a network until variables meet, for some samples."""

    def __init__(self, model: nn.Module, pair: Captured, whole: Captured, member: torch.Tensor) -> None:
        """pair, whole: the graph of the model for a few inputs and for a batch; member: [S, ...], which broadcasts to
        the inputs."""
        self.model, self.pair = model, pair
        fixed, dims = pair.fixed(), _batch_dims(pair, whole)
        values = pair.evaluated(fixed, pair.values(model))
        owners = [_Owners(pair, fixed, values, one).found for one in member]
        self.masked = _masked(pair, fixed, dims, set.intersection(*map(set, owners)))
        self.dims = [dims[node] for node in self.masked]
        nodes = dict(zip(pair.graph.nodes, whole.graph.nodes, strict=True))
        self.cuts = [nodes[node] for node in self.masked]
        self.members = [
            member if node in pair.inputs else _member([found[node].select(dim, 0) for found in owners])
            for node, dim in zip(self.masked, self.dims, strict=True)
        ]

    def versions(self, inputs: torch.Tensor, none: torch.Tensor) -> list[Version]:
        """Returns the versions of the values that are masked, with the weights that the model has now.

        inputs, none: [S, ...], with all variables and with none.
        """
        samples = [self._values(*both) for both in zip(inputs, none, strict=True)]
        found = []
        for number, (dim, member) in enumerate(zip(self.dims, self.members, strict=True)):
            both = [torch.stack([values[number].select(dim, place) for values in samples]) for place in (0, 1)]
            found.append(Version(*both, member, dim))
        return found

    def _values(self, kept: torch.Tensor, none: torch.Tensor) -> list[torch.Tensor]:
        """Returns the values that are masked, of a sample with all variables and with none."""
        (given,) = self.pair.inputs
        others = [none] * (len(given.meta["val"]) - 2)
        known = {**self.pair.values(self.model), given: torch.stack([kept, none, *others])}
        values = self.pair.evaluated(_before(self.masked), known)
        return [values[node] for node in self.masked]


def _masked(pair: Captured, fixed: set[fx.Node], dims: dict[fx.Node, int], owned: set[fx.Node]) -> list[fx.Node]:
    """Returns the values that are masked: those with owners that an operation without owners reads.

    dims: of values with a batch; owned: the nodes that have owners.
    """

    def is_read(node: fx.Node) -> bool:
        return node in owned and node not in fixed and any(user not in owned for user in node.users)

    def can_wait(node: fx.Node) -> bool:
        """Whether it is rather the operands that are masked: a value has to have rows of a batch, and entries can as
        well be moved later."""
        moves = node.target in MOVES and node.args[0] not in fixed
        return node not in pair.inputs and (moves or node not in dims)

    while True:
        read = [node for node in pair.graph.nodes if is_read(node)]
        late = {node for node in read if can_wait(node)}
        if not late:
            return read
        owned = owned - late


def _member(bits: list[torch.Tensor]) -> torch.Tensor:
    """Returns the bits of the owners, [S, ...], with a side of 1 along which they are all the same.

    bits: [...], of each sample.
    """
    found = torch.stack(bits)
    for side in range(1, found.dim()):
        first = found.narrow(side, 0, 1)
        if found.shape[side] and torch.equal(found, first.expand_as(found)):
            found = first
    return found.contiguous()


class _Owners:
    """found: the bit of the owner of each entry (0: none) for each node whose entries have one owner each."""

    def __init__(self, pair: Captured, fixed: set[fx.Node], values: dict, member: torch.Tensor) -> None:
        """values: of the fixed nodes; member: [...], which broadcasts to an input."""
        self.fixed, self.values = fixed, values
        self.of_checkpoints = pair.after(list(pair.weights))
        (given,) = pair.inputs
        self.found = {given: member.expand(given.meta["val"].shape)}
        for node in pair.graph.nodes:
            if node.op == "call_function" and node not in fixed:
                bits = self._of(node)
                if bits is not None:
                    self.found[node] = bits

    def _of(self, node: fx.Node) -> torch.Tensor | None:
        if node.target in OF_SHAPES:
            return self._nobody(node)
        if not all(operand in self.found or operand in self.fixed for operand in node.all_input_nodes):
            return None
        if node.target in MOVING:
            return self._moved(node)
        if node.target in JOINING:
            return node.target([self._bits(each) for each in node.args[0]], *node.args[1:])
        if node.target in ROWS:
            return self._rows(node, node.args[0], len(node.args[1]) if isinstance(node.args[1], list) else 1)
        if node.target is aten.embedding.default and node.args[1] in self.found:
            return self.found[node.args[1]][..., None].expand(node.meta["val"].shape)
        if node.target is aten.conv2d.default:
            return self._windows(node)
        if torch.Tag.pointwise in getattr(node.target, "tags", ()) or node.target is aten._to_copy.default:
            return self._pointwise(node)
        return None

    def _bits(self, node: fx.Node) -> torch.Tensor:
        return self.found[node] if node in self.found else self._nobody(node)

    def _nobody(self, node: fx.Node) -> torch.Tensor:
        where = next(iter(self.found.values()))
        return where.new_zeros(()).expand(node.meta["val"].shape)

    def _moved(self, node: fx.Node) -> torch.Tensor | None:
        source, *others = node.args
        if source in self.fixed or set(node.all_input_nodes[1:]) & (self.found.keys() | self.of_checkpoints):
            return None  # which entry is taken depends on the input, or on weights, which change
        return node.target(self.found[source], *fx.map_arg(tuple(others), self.values.__getitem__), **node.kwargs)

    def _rows(self, node: fx.Node, x: fx.Node, dims: int) -> torch.Tensor | None:
        if set(node.all_input_nodes[1:]) - self.fixed or x in self.fixed:
            return None
        bits = self.found[x].flatten(-dims)
        owner = _only(bits.amax(-1), torch.where(bits == 0, _MOST, bits).amin(-1))
        return None if owner is None else owner.view(*owner.shape, *[1] * dims).expand(node.meta["val"].shape)

    def _windows(self, node: fx.Node) -> torch.Tensor | None:
        """The owners of windows of a convolution that neither overlap nor leave gaps."""
        x, weight, _, stride, padding, dilation, _ = of_convolution(node)
        size = list(weight.meta["val"].shape[2:])
        cuts = [stride, padding, dilation] == [size, [0, 0], [1, 1]] and not node.kwargs
        if not cuts or x in self.fixed or set(node.all_input_nodes[1:]) - self.fixed or self.found[x].dim() != 4:
            return None
        bits = self.found[x].double()  # pooling does not take integers; float64 holds them exactly
        highest = F.max_pool2d(bits.amax(1, keepdim=True), size)
        lowest = -F.max_pool2d(-torch.where(bits == 0, _MOST, bits).amin(1, keepdim=True), size)
        owner = _only(highest, lowest)
        return None if owner is None else owner.to(self.found[x].dtype).expand(node.meta["val"].shape)

    def _pointwise(self, node: fx.Node) -> torch.Tensor | None:
        owner, shape = None, node.meta["val"].shape
        for operand in node.all_input_nodes:
            if operand in self.fixed:
                continue
            bits = self.found[operand].expand(shape)
            if owner is not None and bool(((owner != bits) & (owner != 0) & (bits != 0)).any()):
                return None
            owner = bits if owner is None else owner | bits
        return owner


_MOST = 2**30  # above all bits


def _only(highest: torch.Tensor, lowest: torch.Tensor) -> torch.Tensor | None:
    """Returns the owners of rows or windows, from the largest bit and the smallest that is not 0; None if one of them
    has several."""
    return highest if bool(((highest == lowest) | (highest == 0)).all()) else None


def _before(nodes: list[fx.Node]) -> set[fx.Node]:
    """Returns the nodes and all that they are computed from."""
    found, left = set(), list(nodes)
    while left:
        node = left.pop()
        if node not in found:
            found.add(node)
            left += node.all_input_nodes
    return found


def _batch_dims(pair: Captured, whole: Captured) -> dict[fx.Node, int]:
    """Returns which dimension of a value is the batch: the only one that is longer in the graph of a whole batch."""
    few, many = len(pair.inputs[0].meta["val"]), len(whole.inputs[0].meta["val"])
    found = {pair.inputs[0]: 0}
    for a, b in zip(pair.graph.nodes, whole.graph.nodes, strict=True):
        shapes = [getattr(node.meta.get("val"), "shape", None) for node in (a, b)]
        if shapes[0] is None or shapes[1] is None:
            continue
        other = [dim for dim, sides in enumerate(zip(*shapes, strict=True)) if sides[0] != sides[1]]
        if len(other) == 1 and (shapes[0][other[0]], shapes[1][other[0]]) == (few, many):
            found[a] = other[0]
    return found


def alike(pair: Captured, whole: Captured) -> bool:
    """Returns whether two graphs of a network, for batches of different sizes, have the same operations."""
    if len(pair.graph.nodes) != len(whole.graph.nodes):
        return False
    return all(_of_graph(a) == _of_graph(b) for a, b in zip(pair.graph.nodes, whole.graph.nodes, strict=True))


def _of_graph(node: fx.Node) -> tuple:
    """Returns the operation and its numbers, without sizes of shapes, which differ with the batch."""
    if node.op == "placeholder":
        return (node.op,)
    counted = torch.Tag.pointwise in getattr(node.target, "tags", ())
    numbers = [value for value in tree_leaves((node.args, node.kwargs)) if isinstance(value, int | float)]
    return node.op, node.target, [value for value in numbers if counted or isinstance(value, float)]
