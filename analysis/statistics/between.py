"""What several runs say together: their mean, and how far from it the mean of other such runs may lie.

The interval of one run covers other samples. Only other trainings tell whether another training gives the same. Runs
are few, so that the bootstrap, which draws from the given values, would give intervals that are too narrow: with
five runs it contains the truth in 82 to 84 of 100 cases. Student's t allows for a spread that is itself known from
few values, and is right if these are roughly normal, as means over many samples are.
"""

from typing import NamedTuple

import numpy as np
from scipy.stats import t

FEWEST = 3  # runs; two would give an interval 13 times as wide as their distance
EQUAL = 1e-12  # as a share of the mean; runs that differ by less share what was measured


class Between(NamedTuple):
    """The mean and its 95 % interval, as arrays of one shape or as numbers. The interval is NaN for fewer than 3
    runs, and for runs with the same value, such as the accuracy of the one pre-training that they share."""

    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray


def between(mean: np.ndarray, deviation: np.ndarray, runs: np.ndarray) -> Between:
    """Returns the interval from mean, deviation (divided by runs - 1) and number of runs, all of one shape."""
    mean, deviation, runs = (np.asarray(part, dtype=float) for part in (mean, deviation, runs))
    enough = (runs >= FEWEST) & np.isfinite(mean) & (deviation > EQUAL * abs(mean))
    width = np.full_like(mean, np.nan)
    width[enough] = t.ppf(0.975, runs[enough] - 1) * deviation[enough] / np.sqrt(runs[enough])
    return Between(mean, mean - width, mean + width)


def of_runs(values: np.ndarray) -> Between:
    """Returns the mean and interval of values: [runs], all of them numbers."""
    values = np.asarray(values, dtype=float)
    deviation = values.std(ddof=1) if len(values) > 1 else np.nan
    return between(np.asarray(values.mean()), np.asarray(deviation), np.asarray(len(values)))
