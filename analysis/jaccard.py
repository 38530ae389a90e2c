"""Similarity of two models' interactions (Eq. 9 of arXiv 2410.08455)."""

import numpy as np


def jaccard(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """||min(a, b)||_1 / ||max(a, b)||_1 of a, b = [max(I, 0); max(-I, 0)]: [..., 2**n] twice -> [...] in 0..1.

    Where the signs differ the minimum is 0 and the maximum |I_1| + |I_2|. Two models without interactions are equal: 1.
    """
    same = first * second > 0
    smaller, larger = np.minimum(abs(first), abs(second)), np.maximum(abs(first), abs(second))
    intersection = np.where(same, smaller, 0.0).sum(-1)
    union = np.where(same, larger, abs(first) + abs(second)).sum(-1)
    return np.divide(intersection, union, out=np.ones_like(union), where=union > 0)
