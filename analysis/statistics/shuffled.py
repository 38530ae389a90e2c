"""The same quantity when values are exchanged among masked inputs that keep equally many variables.

This keeps how the value depends on how many variables are kept, but destroys which ones they are. The empty and the
whole input are exchanged among samples instead. The quantity is no sum, so that its expectation needs draws.
"""

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from interactions.mobius import orders

Arrays = dict[str, np.ndarray]
# numpy computes without Python's lock. Each thread holds its own permuted values, so few threads save memory.
THREADS = min(4, os.cpu_count() or 1)


def permutations(samples: int, n: int, repeats: int, seed: int) -> list[np.ndarray]:
    """Returns `repeats` index arrays [samples, 2**n] into the flattened values [samples * 2**n] of a model."""
    draw = np.random.default_rng([seed, 1])
    return [_permutation(samples, orders(n), draw) for _ in range(repeats)]


def over_epochs(
    measure: Callable[[np.ndarray], Arrays], epochs: Iterable[np.ndarray], permutations: list[np.ndarray]
) -> tuple[Arrays, Arrays]:
    """Measures each epoch's values [samples, 2**n]: name -> [samples, epochs], and the mean of the same over the
    permutations, {} without any. measure: returns name -> [samples]."""
    both = [(measure(each), _mean(measure, each, permutations)) for each in epochs]
    observed, level = (
        {name: np.stack([epoch[part][name] for epoch in both], axis=1) for name in both[0][part]} for part in (0, 1)
    )
    return observed, level


def _mean(measure: Callable[[np.ndarray], Arrays], values: np.ndarray, permutations: list[np.ndarray]) -> Arrays:
    with ThreadPoolExecutor(THREADS) as pool:
        draws = list(pool.map(lambda permutation: measure(permuted(values, permutation)), permutations))
    return {name: np.mean([draw[name] for draw in draws], axis=0) for name in draws[0]} if draws else {}


def permuted(values: np.ndarray, permutation: np.ndarray) -> np.ndarray:
    """Applies a permutation: [samples, 2**n] -> [samples, 2**n]."""
    return np.take(values.reshape(-1), permutation, mode="clip")  # "clip" skips the check: all indices are valid


def _permutation(samples: int, order: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """Draws random cycles, in which each value takes the place of another. One that stayed would move the level
    towards the observed value (in free permutations one of each order does on average: 1 of 10 at n = 10, order 1)."""
    subsets = len(order)
    # Sorting by order first and a random number second shuffles within each order ...
    ring = np.argsort(order + draw.random((samples, subsets)), axis=1)
    # ... and the next one in that ring takes the place of each.
    column = np.empty_like(ring)
    np.put_along_axis(column, ring, ring[:, _next_of_same(np.sort(order))], axis=1)
    flat = np.arange(samples)[:, None] * subsets + column
    for single in (0, subsets - 1):
        ring = draw.permutation(samples)
        flat[ring, single] = np.roll(ring, -1) * subsets + single
    return flat


def _next_of_same(ordered: np.ndarray) -> np.ndarray:
    """Returns for sorted orders the position of the next entry of the same order; the last leads to the first."""
    following = np.arange(1, len(ordered) + 1)
    last = np.flatnonzero(np.diff(ordered, append=ordered[-1] + 1))
    following[last] = np.searchsorted(ordered, ordered[last])
    return following
