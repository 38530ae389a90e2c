"""What several runs say together: the mean, and how far from it the mean of other such runs may lie.

The interval of one run speaks of other samples. Whether another training gives the same, only other trainings tell.
There are few of them, so that the bootstrap, which draws from what is there, would give intervals that are too narrow:
with five runs it contains the truth in 82 to 84 of 100 cases. Student's t allows for a spread that is itself known from
few values, and does what it says as long as these are roughly normal, as means over many samples are.
"""

from typing import NamedTuple

import numpy as np
from scipy.stats import t

FEWEST = 3  # runs: two give an interval that is 13 times as wide as their distance
EQUAL = 1e-12  # of the mean: runs that differ by less share what was measured


class Between(NamedTuple):
    """mean, and its 95 % interval: NaN where there are fewer than 3 runs, and where all runs have the same value, such
    as the accuracy of the one pre-training that they share. Arrays of one shape, or numbers."""

    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray


def between(mean: np.ndarray, deviation: np.ndarray, runs: np.ndarray) -> Between:
    """mean, deviation (with runs - 1 in the denominator) and number of the runs' values: of one shape."""
    mean, deviation, runs = (np.asarray(part, dtype=float) for part in (mean, deviation, runs))
    enough = (runs >= FEWEST) & np.isfinite(mean) & (deviation > EQUAL * abs(mean))
    width = np.full_like(mean, np.nan)
    width[enough] = t.ppf(0.975, runs[enough] - 1) * deviation[enough] / np.sqrt(runs[enough])
    return Between(mean, mean - width, mean + width)


def of_runs(values: np.ndarray) -> Between:
    """values: [runs], numbers all of them."""
    values = np.asarray(values, dtype=float)
    deviation = values.std(ddof=1) if len(values) > 1 else np.nan
    return between(np.asarray(values.mean()), np.asarray(deviation), np.asarray(len(values)))
