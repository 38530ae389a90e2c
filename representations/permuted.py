"""How much of a similarity is left beyond what the same layers give when the images of one are permuted.

Even layers that share nothing have a similarity: it varies from sample to sample, and where it is biased it grows with
the layers' width and with the number of layers that are searched. A permutation of one layer's inputs keeps both
layers' own shape, and with it the denominator of CKA, and breaks what they share. Groeger, Wen and Brbic
(arXiv 2602.14486, algorithm 1) calibrate by it: with the observed value s and those of permutations,

    threshold   the 95 % quantile of all of them, the observed one included: its order statistic ceil(0.95 (m + 1))
    value       (s - threshold) / (1 - threshold), or 0 below the threshold: 1 stays 1
    p           the share of all of them that are at least s: uniform if nothing is shared, at least 1 / (m + 1)

Of one permutation, <K, PLP'> takes n^2, most of it for reading in random order: 200 permutations of a pair of wide
layers take half a second with 1,000 inputs and half a minute with 5,000. Narrow layers take n p q.
"""

from math import ceil, sqrt

import torch
from torch import Tensor

from representations.cka import Layer

CERTAIN = 0.95
PIECE = 2**18  # numbers that are permuted at a time: what a processor keeps near


def calibrated(a: Layer, b: Layer, permutations: int, seed: int, debiased: bool = True) -> tuple[float, float, float]:
    """Returns value, p and threshold of the CKA of two layers on the same n inputs; all NaN for a constant layer.

    One seed gives the same permutations to all pairs of layers with as many inputs.
    """
    draw, n = torch.Generator().manual_seed(seed), len(a)
    orders = torch.stack([torch.arange(n), *(torch.randperm(n, generator=draw) for _ in range(permutations))])
    found = _similarities(a, b, orders.to(a.diagonal.device), debiased).cpu()
    observed, threshold = found[0], found.sort().values[ceil(CERTAIN * len(found)) - 1]
    if observed.isnan():
        return float("nan"), float("nan"), float("nan")
    value = (observed - threshold) / (1 - threshold) if observed > threshold else 0.0
    return float(value), float((found >= observed).double().mean()), float(threshold)


def _similarities(a: Layer, b: Layer, orders: Tensor, debiased: bool) -> Tensor:
    """Returns CKA with the inputs of b in each of the orders [m, n], [m]."""
    found, n = _products(a, b, orders), len(a)
    if debiased:  # representations/cka.py
        s, t = a.diagonal, b.diagonal
        found = found - n / (n - 2) * t[orders] @ s + s.sum() * t.sum() / ((n - 1) * (n - 2))
    return found / sqrt(a.squares[debiased] * b.squares[debiased])


def _products(a: Layer, b: Layer, orders: Tensor) -> Tensor:
    """<K, PLP'> of each order, [m] float64."""
    if a.features is not None and b.features is not None:
        each = [(a.features.T @ b.features[order]).square().sum(dtype=torch.float64) for order in orders]
        return torch.stack(each)
    rows, found = max(1, PIECE // len(a)), []
    pieces = [piece.double().flatten() for piece in a.gram().split(rows)]
    gram = b.gram()
    for order in orders:
        permuted = (gram[part].index_select(1, order).double().flatten() for part in order.split(rows))
        found.append(sum(torch.vdot(*pair) for pair in zip(pieces, permuted, strict=True)))
    return torch.stack(found)
