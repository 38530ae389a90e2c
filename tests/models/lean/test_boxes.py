"""Boxes against the entries of index tensors."""

import math

import pytest
import torch

from models.lean.boxes import before_reshape, broadcast, sizes, union, whole


def draw(generator: torch.Generator, high: int, low: int = 0) -> int:
    return int(torch.randint(low, high, (), generator=generator))


def some_box(shape, generator):
    starts = [draw(generator, side) for side in shape]
    return tuple((start, draw(generator, side + 1, start + 1)) for start, side in zip(starts, shape, strict=True))


def some_shape(count, generator):
    """Returns sides whose product is `count`."""
    shape = []
    while count > 1 or draw(generator, 3) == 0:
        divisors = [number for number in range(1, count + 1) if count % number == 0]
        shape.append(divisors[draw(generator, len(divisors))])
        count //= shape[-1]
    return shape


def cut(tensor, box):
    return tensor[tuple(slice(start, stop) for start, stop in box)]


def hull(inside):
    """Returns the smallest box that has all true entries."""
    return tuple((int(places.min()), int(places.max()) + 1) for places in inside.nonzero().T)


@pytest.mark.parametrize("seed", range(300))
def test_a_box_before_a_reshape_has_the_same_entries_and_is_found_if_there_is_one(seed):
    generator = torch.Generator().manual_seed(seed)
    count = (12, 24, 30, 36)[seed % 4]
    source, shape = some_shape(count, generator), some_shape(count, generator)
    box = some_box(shape, generator)
    numbers = torch.arange(count)
    wanted = cut(numbers.view(shape), box).flatten()
    best = hull(torch.isin(numbers, wanted).view(source))
    there = torch.equal(cut(numbers.view(source), best).flatten(), wanted)
    found = before_reshape(box, shape, source)
    assert (found is not None) == there
    if found:
        assert torch.equal(cut(numbers.view(source), found).flatten(), wanted)


@pytest.mark.parametrize(
    ("box", "shape", "source", "found"),
    [
        (((0, 197), (0, 384)), [1576, 384], [8, 197, 384], ((0, 1), (0, 197), (0, 384))),
        (((0, 8), (0, 384)), [1576, 384], [197, 8, 384], ((0, 1), (0, 8), (0, 384))),
        (((0, 6), (0, 1)), [6, 2], [12], None),
        (((2, 4),), [6], [3, 2, 1], ((1, 2), (0, 2), (0, 1))),
        ((), [], [1, 1], ((0, 1), (0, 1))),
    ],
)
def test_examples_of_boxes_before_a_reshape(box, shape, source, found):
    assert before_reshape(box, shape, source) == found


@pytest.mark.parametrize("seed", range(50))
def test_an_operand_gives_its_part_to_a_box_of_the_result(seed):
    generator = torch.Generator().manual_seed(seed)
    shape = [draw(generator, 5, 1) for _ in range(draw(generator, 5, 1))]
    kept = [1 if draw(generator, 3) == 0 else side for side in shape][draw(generator, len(shape)) :]
    operand, box = torch.arange(math.prod(kept)).view(kept), some_box(shape, generator)
    part = cut(operand, broadcast(box, kept))
    assert torch.equal(part.expand(sizes(box)), cut(operand.expand(shape), box))
    assert part.unique().tolist() == cut(operand.expand(shape), box).unique().tolist()


@pytest.mark.parametrize("seed", range(20))
def test_the_union_is_the_smallest_box_with_both(seed):
    generator = torch.Generator().manual_seed(seed)
    inside = torch.zeros(4, 5, 3)
    a, b = some_box(inside.shape, generator), some_box(inside.shape, generator)
    cut(inside, a).fill_(1)
    cut(inside, b).fill_(1)
    assert union(a, b) == hull(inside)
    assert union(a, whole(inside.shape)) == whole(inside.shape)
