"""What several runs say together: their mean, and how far from it the mean of other such runs may lie.

The interval of one run covers other samples. Only other trainings tell whether another training gives the same. There
are R runs, each with a quantity theta_r and its pseudo-values u_rs (analysis/statistics/estimate.py) on S samples.

crossed   all runs are measured on the same samples. Runs and samples both vary:
          h^2 = [t_R^2 MS_R + t_S^2 max(MS_S - MS_E, 0)] / (R S)
nested    each run has its own samples, whose variation is contained in that of the runs:
          h^2 = t_R^2 MS_R / (R S)

with MS_R = S var_r(theta_r), MS_S = R var_s(mean_r u_rs), MS_E what is left, and Student's t of R - 1 and S - 1 degrees
of freedom. By luck, two runs may be nearer to each other than either is known. So MS_R / S counts as MS_E / S at least
where runs are crossed, and as the mean of var_s(u_rs) / S over the runs whose u_rs are known where they are nested.
Runs on a few sets of samples, several on each, are averaged on each set, and the sets are nested.

Runs are few, so that the bootstrap over them would give intervals that are too narrow: with five runs it contains the
truth in 82 to 84 of 100 cases. With two runs t is 12.7, and little is decided.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.stats import t

from analysis.statistics.estimate import LEVEL

FEWEST = 2  # runs for an interval between them
HALVINGS = 50


@dataclass(frozen=True)
class Spread:
    """The mean of R runs and its variances between runs and between samples, [K] each. runs, samples: their numbers;
    samples is 0 if only runs vary."""

    mean: np.ndarray
    of_runs: np.ndarray
    of_samples: np.ndarray
    runs: int
    samples: int

    def half(self, level: float | np.ndarray = LEVEL) -> np.ndarray:
        """Returns half the width of the interval [K]; level: (1 + its coverage) / 2."""
        squared = t.ppf(level, self.runs - 1) ** 2 * self.of_runs
        if self.samples > 1:
            squared = squared + t.ppf(level, self.samples - 1) ** 2 * self.of_samples
        return np.sqrt(squared)

    def p_value(self) -> np.ndarray:
        """Returns the smallest alpha whose interval of coverage 1 - alpha does not contain 0, [K]."""
        low, high = np.full_like(self.mean, -12.0), np.zeros_like(self.mean)  # of its decimal logarithm
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            excludes = self.half(1 - 10**middle / 2) < abs(self.mean)
            low, high = np.where(excludes, low, middle), np.where(excludes, middle, high)
        p = 10**high
        return np.where(np.isfinite(self.mean), np.where(self.mean == 0, 1.0, p), np.nan)


def spread(theta: np.ndarray, pseudo: np.ndarray | None = None, least: np.ndarray | float = 0.0) -> Spread:
    """Returns the spread of R runs. theta: [R, K]; pseudo: [R, S, K] if they are measured on the same samples; least:
    the least variance between runs on samples of their own, [K] (`of_samples`)."""
    runs = len(theta)
    between = np.maximum(theta.var(0, ddof=1), least) / runs
    if pseudo is None or pseudo.shape[1] < 2:
        return Spread(theta.mean(0), between, np.zeros_like(between), runs, 0)
    samples = pseudo.shape[1]
    of_run, of_sample, mean = pseudo.mean(1, keepdims=True), pseudo.mean(0, keepdims=True), pseudo.mean((0, 1))
    rest = np.square(pseudo - of_run - of_sample + mean).sum((0, 1)) / ((runs - 1) * (samples - 1))
    shared = np.maximum(runs * of_sample[0].var(0, ddof=1) - rest, 0) / (runs * samples)
    # Runs vary at least as much as what is left: by luck two may be nearer to each other than either is known.
    return Spread(theta.mean(0), np.maximum(between, rest / (runs * samples)), shared, runs, samples)


def of_samples(sets: list[np.ndarray | None]) -> np.ndarray | float:
    """Returns the variance that the mean of the runs on one set of samples has because of these, [K]: its mean over
    the sets. sets: pseudo-values [runs, S, K] on each, with any S; None, one sample, or numbers that are not finite are
    unknown. 0 where no set's is known."""
    known = [each.mean(0).var(0, ddof=1) / each.shape[1] for each in sets if each is not None and each.shape[1] > 1]
    if not known:
        return 0.0
    finite = np.isfinite(known)
    return np.where(finite, known, 0.0).sum(0) / np.maximum(finite.sum(0), 1)


def holm(p: np.ndarray) -> np.ndarray:
    """Returns p-values [K] that are adjusted for being K (Holm): below .05 together, not one by one. NaN stay."""
    adjusted, known = np.full_like(p, np.nan), np.flatnonzero(np.isfinite(p))
    order = known[np.argsort(p[known])]
    factors = np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * factors), 1.0)
    return adjusted


def on_scale(value: np.ndarray, floor: np.ndarray, ceiling: np.ndarray, spread_of: Callable) -> tuple[float, ...]:
    """Returns (value - floor) / (ceiling - floor) with its 95 % interval (Fieller): all numbers x for which value -
    floor - x (ceiling - floor) is not clear of 0. NaN three times if the ceiling is not clearly above the floor.

    value, floor, ceiling: whatever `spread_of` turns, added up, into a Spread of one number: theta and pseudo-values.
    """
    over, room = value - floor, ceiling - floor

    def beyond(x: float) -> float:
        """Below 0 inside the interval."""
        found = spread_of(over - x * room)
        return float(np.square(found.mean[0]) - np.square(found.half()[0]))

    whole = spread_of(room)
    if not whole.mean[0] - whole.half()[0] > 0:
        return np.nan, np.nan, np.nan
    middle = float(spread_of(over).mean[0] / whole.mean[0])
    ends = []
    for side in (-1, 1):
        reach = 1e-6
        while beyond(middle + side * reach) <= 0:
            reach *= 2
        ends.append(brentq(beyond, *sorted((middle, middle + side * reach))) if beyond(middle) < 0 else middle)
    return middle, *ends
