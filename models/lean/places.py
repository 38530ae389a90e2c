"""Follows the entries of a tensor through changes of its shape.

The result of a linear layer is cut into heads by a chain of `reshape`, `permute` and `select`, differently in
every library. What became of the entries is a sum: along each dimension, a number times a step in the original tensor
(counted row by row). A dimension may be made of several such factors, the outermost first. An example, [B, 6] cut into
two heads of three entries, [2, B, 3]:

    [B, 6]          (B, step 6)   (6, step 1)
    [B, 2, 3]       (B, step 6)   (2, step 3)   (3, step 1)
    [2, B, 3]       (2, step 3)   (B, step 6)   (3, step 1)

So the entry [h, b, e] is number 3 h + 6 b + e of the original.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from torch import fx

from models.lean.captured import aten

Factor = tuple[int, int]  # size, step
Dim = tuple[Factor, ...]


@dataclass(frozen=True)
class Places:
    """Where the entries of a tensor were: number `offset`, plus the steps along its dimensions."""

    dims: tuple[Dim, ...]
    offset: int = 0

    @classmethod
    def of(cls, shape: Sequence[int]) -> "Places":
        steps = [math.prod(shape[place + 1 :]) for place in range(len(shape))]
        return cls(tuple(((side, step),) for side, step in zip(shape, steps, strict=True)))

    @property
    def steps(self) -> list[Factor] | None:
        """Returns size and step of each dimension; None if one has several factors."""
        dims = [joined(dim) for dim in self.dims]
        return [dim[0] for dim in dims] if all(len(dim) == 1 for dim in dims) else None

    def after(self, node: fx.Node) -> "Places | None":
        """Returns where the entries are after an operation on the tensor; None if it does more than move them."""
        move = MOVES.get(node.target)
        return move and move(self, *node.args[1:]) if node.meta["val"].numel() else None

    def _reshape(self, shape: Sequence[int]) -> "Places | None":
        left, dims = [factor for dim in self.dims for factor in joined(dim)], []
        for side in shape:
            dim: list[Factor] = []
            need = side  # so many entries are still to be found
            while need > 1:
                size, step = left.pop(0)
                if size > need:  # the outer part of this factor; the rest is for the next dimensions
                    if size % need:
                        return None
                    left.insert(0, (size // need, step))
                    size, step = need, step * (size // need)
                if need % size:
                    return None
                dim.append((size, step))
                need //= size
            if need != 1:
                return None
            dims.append(tuple(dim) or ((1, 0),))
        return Places(tuple(dims), self.offset)

    def _permute(self, order: Sequence[int]) -> "Places":
        return Places(tuple(self.dims[dim] for dim in order), self.offset)

    def _transpose(self, a: int, b: int) -> "Places":
        order = list(range(len(self.dims)))
        order[a], order[b] = order[b], order[a]
        return self._permute(order)

    def _unsqueeze(self, dim: int) -> "Places":
        dim %= len(self.dims) + 1
        return Places((*self.dims[:dim], ((1, 0),), *self.dims[dim:]), self.offset)

    def _squeeze(self, dim: int) -> "Places":
        dim %= len(self.dims)
        return self if math.prod(size for size, _ in self.dims[dim]) > 1 else self._without(dim)

    def _select(self, dim: int, index: int) -> "Places | None":
        dim %= len(self.dims)
        start = self._slice(dim, index, None)
        return start and Places(start._without(dim).dims, start.offset)

    def _slice(self, dim: int = 0, start: int | None = None, stop: int | None = None, step: int = 1) -> "Places | None":
        dim %= len(self.dims)
        factors = joined(self.dims[dim])
        if step != 1 or len(factors) != 1:
            return None
        size, stride = factors[0]
        first, last, _ = slice(start, stop).indices(size)
        return Places(
            (*self.dims[:dim], ((last - first, stride),), *self.dims[dim + 1 :]), self.offset + first * stride
        )

    def _without(self, dim: int) -> "Places":
        return Places(self.dims[:dim] + self.dims[dim + 1 :], self.offset)


def joined(dim: Dim) -> list[Factor]:
    """Returns the factors without those of size 1, with neighbours joined that are one factor."""
    found: list[Factor] = []
    for size, step in dim:
        if size == 1:
            continue
        if found and found[-1][1] == size * step:
            found[-1] = (found[-1][0] * size, step)
        else:
            found.append((size, step))
    return found or [(1, 0)]


MOVES = {
    aten.reshape.default: Places._reshape,
    aten.permute.default: Places._permute,
    aten.transpose.int: Places._transpose,
    aten.unsqueeze.default: Places._unsqueeze,
    aten.squeeze.dim: Places._squeeze,
    aten.select.int: Places._select,
    aten.slice.Tensor: Places._slice,
}
