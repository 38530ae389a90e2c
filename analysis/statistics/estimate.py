"""Estimates a quantity with its 95 % interval over samples, beside the same quantity under each reference.

The samples of a run are few, and their strengths differ widely, so that the plain percentile bootstrap gives intervals
that are too narrow (benchmarks/statistics.py shows how often each kind contains the truth):

    differences, shares, accuracies   jackknife: t interval of the pseudo-values S theta - (S - 1) theta(-s), where
                                      theta(-s) is the quantity without sample s; a mean's pseudo-values are the samples
    ratios of strengths               the same of the logarithm
    mean strengths                    bootstrap-t of the logarithm: resamples tell how far (theta* - theta) / error lies
    steps, such as an epoch           percentiles of the bootstrap; how it goes with each sample's weight
    the excess at several orders      one bound for the largest |t| of all: with 95 % none misses

Pseudo-values are kept, as the interval over several runs is made from them (analysis/statistics/between.py).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from scipy.stats import norm, t

Arrays = tuple[np.ndarray, ...]
LEVEL = 0.975
FEW = 10  # samples
FAR = 3
DRAWS = 20_000
TINY = 1e-6  # of the error: a resample of equal values, but for rounding, tells nothing


class Interval(NamedTuple):
    """A quantity and its 95 % interval, as arrays of one shape [...] or as numbers; NaN where there is none.

    pseudo: [samples, ...] pseudo-values, of the quantity's logarithm if `log`.
    """

    value: np.ndarray
    low: np.ndarray
    high: np.ndarray
    pseudo: np.ndarray
    log: bool = False

    def at(self, place: int) -> "Interval":
        return Interval(*(float(part[place]) for part in self[:3]), self.pseudo[:, place], self.log)


@dataclass(frozen=True)
class Estimate:
    """A quantity with its interval. levels: the same quantity under each reference; excess: value - level, with its
    interval; equal: all this where both models have the same strength (L1 norm 1 in each sample)."""

    own: Interval
    levels: dict[str, np.ndarray] = field(default_factory=dict)
    excess: dict[str, Interval] = field(default_factory=dict)
    equal: "Estimate | None" = None

    @property
    def value(self) -> np.ndarray:
        return self.own.value

    def rows(self) -> Iterator["Estimate"]:
        """Yields an estimate of each of several numbers [K]."""
        equal = list(self.equal.rows()) if self.equal else [None] * len(self.own.value)
        for place, at_equal in enumerate(equal):
            levels = {name: float(level[place]) for name, level in self.levels.items()}
            yield Estimate(
                self.own.at(place), levels, {name: each.at(place) for name, each in self.excess.items()}, at_equal
            )


def exact(value: float, samples: int) -> Estimate:
    """Returns a number that is no mean over samples, and so has no interval over them; over runs it does."""
    return Estimate(Interval(value, np.nan, np.nan, np.full(samples, value)))


def binomial(share: float, count: int, samples: int) -> Estimate:
    """Returns a share of `count` inputs that are not the measured samples, with its 95 % interval (Wilson)."""
    z = norm.ppf(LEVEL)
    middle, half = share + z**2 / (2 * count), z * np.sqrt(share * (1 - share) / count + (z / (2 * count)) ** 2)
    low, high = ((middle + side * half) / (1 + z**2 / count) for side in (-1, 1))
    return Estimate(Interval(share, low, high, np.full(samples, share)))


def resamples(samples: int, repeats: int, seed: int) -> np.ndarray:
    """Returns bootstrap weights [repeats, samples]: how often each sample is drawn, divided by the number of draws.

    The mean over resampled samples is `weights @ per_sample`.
    """
    draw = np.random.default_rng([seed, 2])
    return draw.multinomial(samples, np.full(samples, 1 / samples), size=repeats) / samples


def jackknife(arrays: Arrays, statistic: Callable | None = None, log: bool = False) -> Interval:
    """Returns the interval of a statistic of means over samples, such as a ratio of two.

    arrays: [samples, ...] each; statistic: takes the means [rows, ...] of each array and returns [rows, ...]; None:
    the mean of the only array.
    """
    count, scale = len(arrays[0]), np.log if log else np.asarray
    with np.errstate(all="ignore"):
        if statistic is None and not log:
            return _of_pseudo(arrays[0].mean(0), np.asarray(arrays[0], dtype=float), log)
        statistic = statistic or (lambda mean: mean)
        means = [array.mean(0) for array in arrays]
        value = np.asarray(statistic(*(mean[None] for mean in means)), dtype=float)[0]
        left_out = [(count * mean - array) / (count - 1) for mean, array in zip(means, arrays, strict=True)]
        without = np.asarray(statistic(*left_out), dtype=float)
        found = _of_pseudo(value, count * scale(value) - (count - 1) * scale(without), log)
    same = (without == value).all(0)  # infinite with any sample left out, for example
    return found._replace(low=np.where(same, value, found.low), high=np.where(same, value, found.high))


def _of_pseudo(value: np.ndarray, pseudo: np.ndarray, log: bool) -> Interval:
    count = len(pseudo)
    if count < 2:
        return Interval(value, np.full_like(value, np.nan), np.full_like(value, np.nan), pseudo, log)
    half = t.ppf(LEVEL, count - 1) * pseudo.std(0, ddof=1) / np.sqrt(count)
    if log:
        return Interval(value, value * np.exp(-half), value * np.exp(half), pseudo, log)
    return Interval(value, value - half, value + half, pseudo, log)


def bootstrap_t(strength: np.ndarray, weights: np.ndarray) -> Interval:
    """Returns the interval of mean strengths: [samples, ...], none below 0. weights: from `resamples`.

    Fewer than FEW samples have the jackknife's interval, as their resamples are too much alike. For the same reason the
    distances are bounded, at FAR times what Student's t would be.
    """
    found = jackknife((strength,), log=True)
    if len(strength) < FEW:
        return found
    with np.errstate(all="ignore"):
        mean, again = strength.mean(0), np.tensordot(weights, strength, axes=1)
        error = strength.std(0, ddof=1) / np.sqrt(len(strength)) / mean
        errors = _errors(strength, again, weights) / again
        distance = np.where(errors > TINY * error, (np.log(again) - np.log(mean)) / errors, np.nan)
        distance = np.where(np.isfinite(distance), distance, np.nan)
        known = np.isfinite(distance).any(0)
        low, high = np.nanpercentile(np.where(known, distance, 0.0), [2.5, 97.5], axis=0)
        bound = FAR * t.ppf(LEVEL, len(strength) - 1)
        ends = mean * np.exp(-np.minimum(high, bound) * error), mean * np.exp(-np.maximum(low, -bound) * error)
    same, unknown = found.low == found.high, np.isnan(found.low)  # all from one sample: nothing is known
    ends = (np.where(unknown, np.nan, end) for end in ends)
    low, high = (np.where(same, mean, end) for end in ends)
    return found._replace(low=low, high=high)


def percentiles(arrays: Arrays, statistic: Callable, weights: np.ndarray) -> Interval:
    """Returns the bootstrap interval of a statistic that moves in steps. Its pseudo-values say how it goes with each
    sample's weight in the resamples (infinitesimal jackknife). Chance adds to that, the more so if the samples are more
    than the resamples: they are scaled, so that they vary as the resamples do."""
    count = len(arrays[0])
    value, again = (
        np.asarray(statistic(*(np.tensordot(rows, array, axes=1) for array in arrays)), dtype=float)
        for rows in (np.full((1, count), 1 / count), weights)
    )
    low, high = (np.percentile(again, level, axis=0, method="inverted_cdf") for level in (2.5, 97.5))
    with np.errstate(invalid="ignore"):
        moves = np.tensordot((count * weights - 1).T, again - again.mean(0), axes=1)
        size = moves.std(0)
        scaled = np.divide(moves, size, out=np.zeros_like(moves), where=size != 0) * np.sqrt(count) * again.std(0)
    return Interval(value[0], low, high, value + scaled)


def together(differences: np.ndarray) -> Interval:
    """Returns intervals of the means of several differences [samples, K] that hold together: in one of twenty sets of
    K, one misses.

    All have the same bound on |t|: the one that the largest of K values of t exceeds as rarely, if they are correlated
    as the differences are (multivariate t, from draws). Resamples do worse here: differences with agreeing and opposite
    effects are symmetric with heavy tails, which few samples do not show. Differences without an error stay as they
    are.
    """
    found = jackknife((differences,))
    mean, error = differences.mean(0), differences.std(0) / np.sqrt(max(1, len(differences) - 1))
    varies = error > TINY * abs(differences).max(0)
    if varies.sum() < 2 or len(differences) < 2:
        return found
    half = _largest_t(np.corrcoef(differences[:, varies], rowvar=False), len(differences) - 1) * error
    return found._replace(low=np.where(varies, mean - half, mean), high=np.where(varies, mean + half, mean))


def _largest_t(correlation: np.ndarray, freedom: int) -> float:
    """Returns what the largest |t| of K, correlated like this [K, K], exceeds in one of twenty cases."""
    draw = np.random.default_rng(0)
    roots = np.linalg.eigh(correlation)
    normal = draw.standard_normal((DRAWS, len(correlation))) * np.sqrt(np.maximum(roots[0], 0)) @ roots[1].T
    spread = np.sqrt(draw.chisquare(freedom, DRAWS) / freedom)
    return float(np.quantile(abs(normal).max(1) / spread, 2 * LEVEL - 1))


def _errors(values: np.ndarray, means: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Returns the standard error of the mean in each resample."""
    squares = np.tensordot(weights, np.square(values), axes=1)
    return np.sqrt(np.maximum(squares - np.square(means), 0) / (len(values) - 1))


def quotient(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Returns numerator / denominator: NaN for 0/0, and infinite where only the denominator is 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return numerator / denominator
