"""Do models that preserve more gain more? The slope of gain on excess, over the arms of an experiment, within seeds.

An arm is a way to make a model (from all pre-trained weights, from a part, from shuffled ones), and each seed has a run
of every arm. Seeds differ in much that all of a seed's arms share, such as the model that was trained from scratch, so
both quantities are centred within each seed: x and y, with slope sum(xy) / sum(xx).

Three things may make a slope where there is nothing:

- This seed. The interval leaves out one seed at a time (jackknife, Student's t): seeds are the unit, arms are given.
- Noise within seeds. Permuting the arms' labels of each seed by itself shows what slope that gives: `p`.
- The choice of arms. Each arm has its own gain and its own excess, for whatever reasons, and repeats both in every
  seed: seven unrelated arms have some slope, and no number of seeds makes it go away (in simulations with five seeds
  `p` is below 0.05 in a third of such experiments, and the interval leaves out 0 in four of ten). Exchanging whole
  arms, in all seeds alike, shows what slope that gives: `p_arms`. Three arms have six exchanges, too few for any p
  below 0.05.

Noise in the excess makes a slope flatter than it is, and never turns its sign.
"""

from itertools import permutations, product
from math import factorial
from typing import NamedTuple

import numpy as np

from analysis.statistics.between import spread

DRAWS, LEVEL = 10_000, 0.05
FEWEST = 3  # seeds; without one of two, the other alone decides the slope
ROUNDING = 1e-9  # as a share of the observed sum: what permuted sums that are equal may differ by


class Slope(NamedTuple):
    """The slope, its 95 % interval over seeds (NaN for fewer than three), and two-sided p values: labels permuted
    within each seed, whole arms exchanged. All are NaN if no seed has arms that differ in the excess."""

    slope: float
    low: float
    high: float
    p: float
    p_arms: float

    @property
    def verdict(self) -> str:
        """Returns whether a slope above 0 is shown (met), one below 0 (not met), or neither (undecided)."""
        if not max(self.p, self.p_arms) < LEVEL:
            return "undecided"
        return "met" if self.low > 0 else "not met" if self.high < 0 else "undecided"


def slope(gain: np.ndarray, excess: np.ndarray, seed: int = 0) -> Slope:
    """Estimates the slope of gain on excess, [seeds, arms] each, without NaN. seed: of permutations, if there are too
    many to take all."""
    x, y = centred(excess), centred(gain)
    if not (x**2).sum() > 0:
        return Slope(*[np.nan] * 5)
    found, rest = _of(x, y), [np.delete(np.arange(len(x)), one) for one in range(len(x))]
    left = np.array([_of(x[others], y[others]) for others in rest])
    pseudo = len(x) * found - (len(x) - 1) * left
    half = spread(pseudo[:, None]).half()[0] if len(x) >= FEWEST else np.nan
    draw = np.random.default_rng([seed, 4])
    p, p_arms = (_share_beyond(x, y, _orders(rows, x.shape[1], draw)) for rows in (len(x), 1))
    return Slope(found, float(found - half), float(found + half), p, p_arms)


def centred(values: np.ndarray) -> np.ndarray:
    """Takes away each seed's mean over its arms: [seeds, arms] -> [seeds, arms]."""
    return values - values.mean(1, keepdims=True)


def _of(x: np.ndarray, y: np.ndarray) -> float:
    spread = (x**2).sum()
    return float((x * y).sum() / spread) if spread > 0 else np.nan


def _orders(rows: int, arms: int, draw: np.random.Generator) -> np.ndarray:
    """Returns orders of the arms for this many rows, [orders, rows, arms]: all that there are, the given one among
    them, or, if these are too many, the given one and DRAWS random ones."""
    if factorial(arms) ** rows <= DRAWS:
        return np.array(list(product(permutations(range(arms)), repeat=rows)))
    drawn = draw.random((DRAWS, rows, arms)).argsort(-1)
    return np.concatenate([np.broadcast_to(np.arange(arms), (1, rows, arms)), drawn])


def _share_beyond(x: np.ndarray, y: np.ndarray, orders: np.ndarray) -> float:
    """Returns the share of the orders in which the slope is at least as steep, up or down."""
    sums = abs((x * np.take_along_axis(y[None], np.broadcast_to(orders, (len(orders), *y.shape)), axis=2)).sum((1, 2)))
    return float((sums >= abs((x * y).sum()) * (1 - ROUNDING)).mean())
