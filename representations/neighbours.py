"""Do two layers agree on which inputs are alike? Of each input, the share of its nearest neighbours that it keeps.

CKA weighs all pairs of inputs, and above all those that lie far apart; this looks at the nearest ones alone, which may
stay the same where CKA falls, and change where it hardly does (arXiv 2405.07987, 2602.14486). Neighbours are those at
the least distance |x_i - x_j|, which neither rotation nor scale nor a shift changes. Layers that share nothing have
k / (n - 1) in common on average.
"""

import torch
from torch import Tensor

from representations.cka import Layer

PIECE = 2**20  # distances that are held at a time


def mutual_neighbours(a: Layer, b: Layer, k: int = 10) -> Tensor:
    """Returns the share of the k nearest neighbours in one layer that are so in the other, of each input [n] float64.

    NaN where a layer is constant, and has no nearest ones. ValueError: k is not among 1 to n - 2, where shares can
    differ.
    """
    n = len(a)
    if not 0 < k < n - 1:
        raise ValueError(f"k={k} neighbours of {n} inputs: expected 1 to {n - 2}")
    if not (a.diagonal.any() and b.diagonal.any()):
        return torch.full((n,), torch.nan, dtype=torch.float64)
    pieces = torch.arange(n, device=a.diagonal.device).split(max(1, PIECE // n))
    return torch.cat([_shared(_nearest(a, rows, k), _nearest(b, rows, k)) for rows in pieces])


def _nearest(layer: Layer, rows: Tensor, k: int) -> Tensor:
    """Returns the neighbours of these inputs, [m, k]: x_i.x_j - |x_j|^2 / 2 falls as the distance grows."""
    near = layer.gram(int(rows[0]), int(rows[-1]) + 1).double() - layer.diagonal / 2
    near[torch.arange(len(rows)), rows] = -torch.inf
    return near.topk(k).indices


def _shared(left: Tensor, right: Tensor) -> Tensor:
    return (left[:, :, None] == right[:, None]).any(2).double().mean(1)
