"""Chance levels: the same quantity when the second model's interactions are permuted.

Permuting within each sample and order keeps how strong the interactions of each order are and destroys which subset
is which. Orders 0 and n hold one subset each: there the permutation is over samples.
"""

import numpy as np

from interactions.mobius import orders


def permutations(samples: int, n: int, repeats: int, seed: int) -> list[np.ndarray]:
    """`repeats` index arrays [samples, 2**n] into the flattened [samples * 2**n] interactions of a model."""
    draw = np.random.default_rng([seed, 1])
    return [_permutation(samples, orders(n), draw) for _ in range(repeats)]


def permuted(interactions: np.ndarray, permutation: np.ndarray) -> np.ndarray:
    """[samples, 2**n] -> [samples, 2**n]."""
    return interactions.reshape(-1)[permutation]


def _permutation(samples: int, order: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    subsets = len(order)
    by_order = np.argsort(order, kind="stable")
    # Sorting by order first and a random number second shuffles within each order.
    shuffled = np.argsort(order + draw.random((samples, subsets)), axis=1)
    column = np.empty((samples, subsets), dtype=np.int64)
    column[:, by_order] = shuffled
    flat = np.arange(samples)[:, None] * subsets + column
    for single in (0, subsets - 1):
        flat[:, single] = draw.permutation(samples) * subsets + single
    return flat
