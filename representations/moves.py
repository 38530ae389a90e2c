"""Moves weights at random, as far as training has moved them.

That early layers change less than late ones is no finding by itself: a random change of all weights does the same, as
each layer passes on the changes of those before it. So what training does is compared with a move of equal length in
a random direction, of each tensor.
"""

import numpy as np
import torch

State = dict[str, torch.Tensor]


def moved(start: State, end: State, learned: set[str], seed: list[int]) -> State:
    """Returns the weights `start`, each tensor moved in a random direction by the length of `end` - `start`.

    learned: names of the tensors that training changes; others, such as statistics of batch-norm, and those whose
    shapes differ in `end`, stay as they are.
    """
    draw = torch.Generator().manual_seed(int(np.random.SeedSequence(seed).generate_state(1)[0]))
    found = {}
    for name, tensor in start.items():
        found[name] = tensor
        if name in learned and name in end and end[name].shape == tensor.shape and tensor.is_floating_point():
            direction = torch.randn(tensor.shape, generator=draw, dtype=torch.float64)
            length = (end[name].double() - tensor.double()).norm()
            found[name] = (tensor.double() + direction * (length / direction.norm())).to(tensor.dtype)
    return found
