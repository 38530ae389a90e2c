"""Is the class of a sample that of its nearest neighbours? What features tell without anything trained on them.

The share of samples for which it is so is the accuracy of k-nearest-neighbour classification, where each sample is left
out in turn: sim(a, b) = a'b / (|a| |b|), and the classes of the k samples that are most similar to a vote.
"""

import numpy as np
import torch

BLOCK = 2**24  # similarities at a time: 64 MB


def left_out(features: np.ndarray, labels: np.ndarray, k: int) -> np.ndarray:
    """Tells for each sample whether its class is the most frequent one of its k nearest others, bool [N].

    Near is what has a large cosine similarity, in float32. Of classes that are equally frequent, the one with the
    nearest neighbour is taken. features: [N, D]; labels: [N]. ValueError: there are no k others.
    """
    unit = _unit(torch.as_tensor(features, dtype=torch.float32))
    classes = torch.from_numpy(np.unique(labels, return_inverse=True)[1])
    if not 1 <= k < len(unit):
        raise ValueError(f"{k} nearest others of {len(unit)} samples")
    size = max(1, BLOCK // len(unit))
    parts = [_voted(unit, classes, torch.arange(at, min(at + size, len(unit))), k) for at in range(0, len(unit), size)]
    return (torch.cat(parts) == classes).numpy()


def _unit(features: torch.Tensor) -> torch.Tensor:
    """Returns rows of length 1, or 0 where all is 0. Their largest is made 1 first, since squares might overflow."""
    largest = features.abs().amax(1, keepdim=True)
    return torch.nn.functional.normalize(features / torch.where(largest > 0, largest, 1))


def _voted(unit: torch.Tensor, classes: torch.Tensor, block: torch.Tensor, k: int) -> torch.Tensor:
    """Returns the class that the neighbours of these samples [B] vote for, [B]."""
    similar = unit[block] @ unit.T
    similar[torch.arange(len(block)), block] = -torch.inf
    votes = classes[similar.topk(k).indices]  # [B, k], the nearest first
    counts = (votes[:, :, None] == votes[:, None, :]).sum(-1)
    first = (counts * k - torch.arange(k)).argmax(-1)
    return votes.gather(1, first[:, None])[:, 0]
