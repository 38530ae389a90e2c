"""Chance levels: the same quantity when the second model's interactions are permuted.

Permuting within each sample and order keeps how strong the interactions of each order are, but destroys which subset
is which. Orders 0 and n hold one subset each, and are permuted over samples instead.
"""

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from interactions.mobius import orders

Arrays = dict[str, np.ndarray]
# numpy computes without Python's lock. Each thread holds its own permuted interactions, so few threads save memory.
THREADS = min(4, os.cpu_count() or 1)


def permutations(samples: int, n: int, repeats: int, seed: int) -> list[np.ndarray]:
    """Returns `repeats` index arrays [samples, 2**n] into the flattened [samples * 2**n] interactions of a model."""
    draw = np.random.default_rng([seed, 1])
    return [_permutation(samples, orders(n), draw) for _ in range(repeats)]


def permuted(interactions: np.ndarray, permutation: np.ndarray) -> np.ndarray:
    """Applies a permutation: [samples, 2**n] -> [samples, 2**n]."""
    return np.take(interactions.reshape(-1), permutation, mode="clip")  # "clip" skips the check: all indices are valid


def under_chance(
    measure: Callable[[np.ndarray], Arrays], interactions: np.ndarray, permutations: list[np.ndarray]
) -> dict[str, Arrays]:
    """Measures the permuted interactions [samples, 2**n] for each permutation. Returns {"chance": name -> [draws,
    ...]}, or {} without permutations.

    measure: returns name -> array.
    """
    with ThreadPoolExecutor(THREADS) as pool:
        draws = list(pool.map(lambda permutation: measure(permuted(interactions, permutation)), permutations))
    return {"chance": {name: np.stack([draw[name] for draw in draws]) for name in draws[0]}} if draws else {}


def over_epochs(
    measure: Callable[[np.ndarray], Arrays], epochs: Iterable[np.ndarray], permutations: list[np.ndarray]
) -> tuple[Arrays, dict[str, Arrays]]:
    """Measures each epoch's interactions: name -> [samples, epochs], and the same under chance (`under_chance`)."""
    both = [(measure(each), under_chance(measure, each, permutations).get("chance", {})) for each in epochs]
    observed, draws = ({name: [epoch[part][name] for epoch in both] for name in both[0][part]} for part in (0, 1))
    chance = {name: np.stack(arrays, axis=2) for name, arrays in draws.items()}
    return {name: np.stack(arrays, axis=1) for name, arrays in observed.items()}, {"chance": chance} if chance else {}


def _permutation(samples: int, order: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """Draws random cycles, in which each interaction takes the place of another. One that stayed would move chance
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
