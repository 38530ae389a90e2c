"""Similarity of two models' interactions (Eq. 9 of arXiv 2410.08455)."""

import numpy as np


def jaccard(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Returns ||min(a, b)||_1 / ||max(a, b)||_1 of a, b = [max(I, 0); max(-I, 0)]: [..., 2**n] twice -> [...] in 0..1.

    min + max = a + b and max - min = |a - b|, so with s = ||I_1||_1 + ||I_2||_1 and d = ||I_1 - I_2||_1 this is (s -
    d) / (s + d). Two models without interactions are equal: 1.
    """
    together = abs(first).sum(-1) + abs(second).sum(-1)
    apart = abs(first - second).sum(-1)
    smaller = np.maximum(together - apart, 0.0)  # rounding must not make it negative
    return np.divide(smaller, together + apart, out=np.ones_like(together), where=together > 0)


def of_smaller(first: np.ndarray, second: np.ndarray, smaller: np.ndarray) -> np.ndarray:
    """Returns the similarity if the sum over S of min(a, b) were `smaller` [...]: smaller / (||I_1||_1 + ||I_2||_1 -
    smaller)."""
    larger = abs(first).sum(-1) + abs(second).sum(-1) - smaller
    return np.divide(smaller, larger, out=np.ones_like(larger), where=larger > 0)
