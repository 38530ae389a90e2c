"""Estimates a quantity with its 95 % interval (percentile bootstrap over samples) and its chance level."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

Arrays = tuple[np.ndarray, ...]
COLUMNS = ["mean", "low", "high", "chance"]  # columns of a table


class Estimate(NamedTuple):
    """An estimate, as arrays of one shape or as numbers. `beyond` is the lower end of the 95 % interval of mean -
    chance, both resampled together: strong samples raise both, so that two separate intervals would tell less."""

    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray
    chance: np.ndarray
    beyond: np.ndarray

    def row(self) -> tuple[float, ...]:
        """Returns the values of one number for a table with COLUMNS."""
        return tuple(float(part) for part in self[: len(COLUMNS)])

    def rows(self) -> list[tuple[float, ...]]:
        """Returns the values of each of several numbers [K], as `row` does."""
        return list(zip(*(np.asarray(part).tolist() for part in self[: len(COLUMNS)]), strict=True))


def resamples(samples: int, repeats: int, seed: int) -> np.ndarray:
    """Returns bootstrap weights [repeats, samples]: how often each sample is drawn, divided by the number of draws.

    The mean over resampled samples is `weights @ per_sample`.
    """
    draw = np.random.default_rng([seed, 2])
    return draw.multinomial(samples, np.full(samples, 1 / samples), size=repeats) / samples


def estimate(
    observed: Arrays, by_chance: Sequence[Arrays], weights: np.ndarray, statistic: Callable = lambda mean: mean
) -> Estimate:
    """Estimates a statistic of means over samples, such as a ratio of two.

    observed: arrays [samples, ...]; by_chance: the same arrays for each permutation (without any, chance is NaN);
    weights: from `resamples`;
    statistic: takes the means over samples [repeats, ...], one per array; returns [repeats, ...].
    """

    def of(draws: Sequence[Arrays], rows: np.ndarray) -> list[np.ndarray]:
        """Computes the statistic of each draw: one matrix product for all draws, [rows, draws, ...], is the fastest."""
        means = [np.tensordot(rows, np.stack(arrays, axis=1), axes=1) for arrays in zip(*draws, strict=True)]
        return [statistic(*(mean[:, draw] for mean in means)) for draw in range(len(draws))]

    def percentile(of_resamples: np.ndarray, level: float) -> np.ndarray:
        return np.percentile(of_resamples, level, axis=0, method="inverted_cdf")  # avoids inf - inf between resamples

    samples = len(observed[0])
    everyone = np.full((1, samples), 1 / samples)
    value, resampled = of([observed], everyone)[0][0], of([observed], weights)[0]
    low, high = percentile(resampled, 2.5), percentile(resampled, 97.5)
    if not by_chance:
        unknown = np.full_like(value, np.nan)
        return Estimate(value, low, high, unknown, unknown)
    chance = np.mean(of(by_chance, everyone), axis=0)[0]
    with np.errstate(invalid="ignore"):  # both sides may be infinite
        above = resampled - np.mean(of(by_chance, weights), axis=0)
    return Estimate(value, low, high, chance, percentile(above, 2.5))


def quotient(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Returns numerator / denominator: NaN for 0/0, and infinite where only the denominator is 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return numerator / denominator
