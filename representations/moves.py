"""Moves weights at random, as far as training has moved them.

That early layers change less than late ones is no finding by itself: a random change of all weights does the same, as
each layer passes on the changes of those before it. So what training does is compared with a move of equal length in
a random direction, of each tensor.
"""

from collections.abc import Iterator

import numpy as np
import torch

State = dict[str, torch.Tensor]


def is_moved(start: State, end: State, learned: set[str]) -> bool:
    """Tells whether training has changed any of the tensors that both models have in one shape."""
    return any(not torch.equal(tensor, end[name]) for name, tensor in _both(start, end, learned))


def moved(start: State, end: State, learned: set[str], seed: list[int]) -> State:
    """Returns the weights `start`, each tensor moved in a random direction by the length of `end` - `start`.

    learned: names of the tensors that training changes; others, such as statistics of batch-norm, and those whose
    shapes differ in `end`, stay as they are.
    """
    draw = torch.Generator().manual_seed(int(np.random.SeedSequence(seed).generate_state(1)[0]))
    found = dict(start)
    for name, tensor in _both(start, end, learned):
        direction = torch.randn(tensor.shape, generator=draw, dtype=torch.float64)
        length = (end[name].double() - tensor.double()).norm()
        found[name] = (tensor.double() + direction * (length / direction.norm())).to(tensor.dtype)
    return found


def _both(start: State, end: State, learned: set[str]) -> Iterator[tuple[str, torch.Tensor]]:
    for name, tensor in start.items():
        if name in learned and name in end and end[name].shape == tensor.shape and tensor.is_floating_point():
            yield name, tensor
