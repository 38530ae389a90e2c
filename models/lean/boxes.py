"""Boxes: the part of a tensor from `start` to `stop` along each of its dimensions."""

import math
from collections.abc import Sequence

Box = tuple[tuple[int, int], ...]


def whole(shape: Sequence[int]) -> Box:
    return tuple((0, side) for side in shape)


def sizes(box: Box) -> list[int]:
    return [stop - start for start, stop in box]


def union(a: Box, b: Box) -> Box:
    """Returns the smallest box that has both."""
    return tuple((min(a0, b0), max(a1, b1)) for (a0, a1), (b0, b1) in zip(a, b, strict=True))


def broadcast(box: Box, shape: Sequence[int]) -> Box:
    """Returns what an operand of this shape gives to a box of the result: shapes are aligned from the right, and a side
    of 1 is given to all."""
    mine = box[len(box) - len(shape) :]
    return tuple((0, 1) if side == 1 else part for part, side in zip(mine, shape, strict=True))


def before_reshape(box: Box, shape: Sequence[int], source: Sequence[int]) -> Box | None:
    """Returns the box of the source whose entries, in their order, are those of the box of the result; None if there is
    none.

    For [8, 197, 384] -> [1576, 384] the first 197 rows are the box of the first of 8; for [197, 8, 384] -> [1576, 384]
    the first 8 rows are that of the first of 197. Every second row would be no box.
    """
    if box == whole(shape):
        return whole(source)
    found: list[tuple[int, int]] = []
    for into, of in _groups(shape, source):
        span = _span([box[place] for place in into], [shape[place] for place in into])
        part = span and _box(span, [source[place] for place in of])
        if part is None:
            return None
        found += part
    return tuple(found)


def _groups(a: Sequence[int], b: Sequence[int]) -> list[tuple[list[int], list[int]]]:
    """Returns the shortest neighbouring dimensions of two shapes that have as many entries."""
    groups, i, j = [], 0, 0
    while i < len(a) or j < len(b):
        left, right, many_a, many_b = [], [], 1, 1
        while True:
            if many_a <= many_b and i < len(a):
                many_a, i = many_a * a[i], i + 1
                left.append(i - 1)
            elif j < len(b):
                many_b, j = many_b * b[j], j + 1
                right.append(j - 1)
            else:
                many_a, i = many_a * a[i], i + 1
                left.append(i - 1)
            if many_a == many_b and (right or j == len(b)):
                break
        groups.append((left, right))
    return groups


def _span(box: Sequence[tuple[int, int]], shape: Sequence[int]) -> tuple[int, int] | None:
    """Returns the first and the last + 1 number of the entries of a box, row by row, if there is no gap."""
    start = 0
    for (first, _), side in zip(box, shape, strict=True):
        start = start * side + first
    long = next((place for place, (a, b) in enumerate(box) if b - a > 1), len(box))
    if any(box[place] != (0, shape[place]) for place in range(long + 1, len(box))):
        return None
    return start, start + math.prod(b - a for a, b in box)


def _box(span: tuple[int, int], shape: Sequence[int]) -> list[tuple[int, int]] | None:
    """Returns the box that has these entries."""
    first, last, found = span[0], span[1] - 1, []
    for side in reversed(shape):
        found.insert(0, (first % side, last % side + 1))
        first, last = first // side, last // side
    return found if first == last == 0 and _span(found, shape) == span else None
