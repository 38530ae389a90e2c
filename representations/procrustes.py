"""How far apart are two layers when one is rotated onto the other as well as can be?

With centred features A and B of Frobenius norm 1, the narrower one filled up with zeros, the orthogonal Procrustes
distance is min |A - BQ| over all rotations (and reflections) Q, which is sqrt(2 - 2 |A'B|_*), where the nuclear norm
|.|_* is the sum of the singular values. It is 0 where the layers are equal up to rotation and scale, and at most
sqrt(2). Unlike CKA it is a distance, with the triangle inequality, and counts directions by their spread rather than by
its square, so that it sees changes in which little varies (Ding et al., arXiv 2108.01661, where it is squared).
"""

import torch
from torch import Tensor

from representations.cka import Layer


def procrustes(a: Layer, b: Layer) -> float:
    """Returns the distance of two layers on the same n inputs, NaN for a constant layer.

    Wide layers take n^3: a few seconds for 1,000 inputs. Layers that are nearly equal need features in float64: of
    float32, distances below about 0.001 are rounding.
    """
    if not (a.diagonal.any() and b.diagonal.any()):
        return float("nan")
    shared = torch.linalg.svdvals(_spread(a).T @ _spread(b)).sum()
    return float(torch.sqrt((2 - 2 * shared).clamp(min=0)))  # below 0 is rounding: shared is at most 1


def _spread(layer: Layer) -> Tensor:
    """Returns features of norm 1, [n, p], or what has the same Gram matrix, [n, n]; float64."""
    whole = layer.diagonal.sum()
    if layer.features is not None:
        return layer.features.double() / whole.sqrt()
    values, vectors = torch.linalg.eigh(layer.gram().double() / whole)
    return vectors * values.clamp(min=0).sqrt()  # a Gram matrix has none below 0, but for rounding
