"""Every figure with its 95 % interval (percentile bootstrap over samples) and its chance level."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

Arrays = tuple[np.ndarray, ...]


class Estimate(NamedTuple):
    """Arrays of one shape, or numbers."""

    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray
    chance: np.ndarray


def resamples(samples: int, repeats: int, seed: int) -> np.ndarray:
    """Bootstrap weights [repeats, samples]: how often each sample is drawn, over how many are drawn.

    The mean over resampled samples is `weights @ per_sample`.
    """
    draw = np.random.default_rng([seed, 2])
    return draw.multinomial(samples, np.full(samples, 1 / samples), size=repeats) / samples


def estimate(
    observed: Arrays, by_chance: Sequence[Arrays], weights: np.ndarray, statistic: Callable = lambda mean: mean
) -> Estimate:
    """A statistic of means over samples, such as a ratio of two.

    observed: arrays [samples, ...]; by_chance: the same arrays for each permutation (none: chance is NaN);
    weights: of `resamples`;
    statistic: takes the means over samples [repeats, ...], one per array; returns [repeats, ...].
    """

    def whole(arrays: Arrays) -> np.ndarray:
        return statistic(*(array.mean(0, keepdims=True) for array in arrays))[0]

    resampled = statistic(*(np.tensordot(weights, array, axes=1) for array in observed))
    low, high = np.percentile(resampled, (2.5, 97.5), axis=0, method="inverted_cdf")  # no inf - inf between two
    value = whole(observed)
    chance = np.mean([whole(arrays) for arrays in by_chance], axis=0) if by_chance else np.full_like(value, np.nan)
    return Estimate(value, low, high, chance)


def quotient(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """numerator / denominator, NaN where that is 0/0 and infinite where only the denominator is 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return numerator / denominator
