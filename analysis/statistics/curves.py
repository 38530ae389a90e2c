"""Curves over pre-training epochs, one for each replicate (a combination of seeds): their best epoch, fall and order.

Five things make a finding where there is nothing:

- Noise has a best epoch, too. The largest of several equal values with noise lies above the last one, so that a curve
  without any fall seems to fall. So `fall` takes the epoch from the other replicates, and measures it in this one.
- Luck. Two replicates may happen to agree, though each is only known as well as its test samples tell it. So an
  interval of accuracies contains how much other samples would change them (`interval`).
- Few values. Kendall's tau of 4 epochs has 7 values, and the best epoch is one of 4: two seeds agree by accident, and
  an interval between them would have no width. So seeds count as at least as different as rounding makes them: values
  in a step of width h have a variance of h^2 / 12 around its middle.
- Ties. Of equally good epochs none is the best, and the first would always be early: their mean counts.
- Few epochs. Intervals between seeds say what other seeds would give at these epochs. Whether a score that has nothing
  to do with the accuracy would rank them as well, a permutation of the epochs says, the same one in all replicates:
  `permutation_p`.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import permutations
from math import factorial

import numpy as np

from analysis.statistics.between import FEWEST, spread

DRAWS = 10_000  # orders of the epochs: all that there are, if these are fewer
ROUNDING = 1e-9


def tau(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Returns Kendall's tau-b of x and y, [..., epochs] each, as [...]; NaN where one of them is constant."""
    return _cosine(_signs(x), _signs(y))


def pearson(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Returns the correlation of x and y, [..., epochs] each, as [...]; NaN where one of them is constant."""
    x, y = (np.where(np.ptp(of, -1, keepdims=True) > 0, of - of.mean(-1, keepdims=True), 0.0) for of in (x, y))
    return _cosine(x, y)


def regret(score: np.ndarray, accuracy: np.ndarray) -> np.ndarray:
    """Returns what is lost by taking the epoch with the highest score: the best accuracy minus the accuracy there, of
    equal scores on average. [replicates, epochs] each -> [replicates]."""
    first = score == score.max(-1, keepdims=True)
    return accuracy.max(-1) - (accuracy * first).sum(-1) / first.sum(-1)


def best(curves: np.ndarray, epochs: np.ndarray) -> np.ndarray:
    """Returns the epoch of each curve's largest value, the mean of equally good ones; NaN for a constant curve.
    [replicates, epochs], [epochs] -> [replicates]."""
    return np.where(np.ptp(curves, -1) > 0, _mean_of_best(curves, epochs), np.nan)


def highest(curves: np.ndarray) -> np.ndarray:
    """Returns where each curve is highest, at all of equally good epochs: [..., epochs] -> bool [..., epochs]."""
    return curves >= curves.max(-1, keepdims=True) - ROUNDING


def best_in(curves: np.ndarray) -> int:
    """Returns how many curves are highest where their mean is, there alone. [replicates, epochs]."""
    return int((highest(curves) == highest(curves.mean(0))).all(1).sum())


def width(curves: np.ndarray, epochs: np.ndarray) -> float:
    """Returns how wide the step around a best epoch is, up to the middle between it and its neighbours: an epoch that
    was not looked at may be better. The root mean square over replicates."""
    middles = np.concatenate([epochs[:1], (epochs[1:] + epochs[:-1]) / 2, epochs[-1:]])
    return float(np.sqrt(np.mean(_mean_of_best(curves, np.diff(middles)) ** 2)))


def _mean_of_best(curves: np.ndarray, of_epochs: np.ndarray) -> np.ndarray:
    first = highest(curves)
    return (first * of_epochs).sum(-1) / first.sum(-1)


def fall(curves: np.ndarray) -> np.ndarray:
    """Returns how far each curve lies above its last value at the epoch where the mean of the other curves is highest,
    of equally good epochs the mean. [replicates, epochs] -> [replicates]; NaN for a single curve."""
    if len(curves) < FEWEST:
        return np.full(len(curves), np.nan)
    return (fall_weights(curves) * curves).sum(1)


def fall_weights(curves: np.ndarray) -> np.ndarray:
    """Returns by what the values of each curve are multiplied to add up to its fall, [replicates, epochs] each: all are
    0 where the others are best at the last epoch, so that there is nothing to fall from."""
    others = curves.sum(0) - curves
    first = others >= others.max(1, keepdims=True) - ROUNDING
    weights = first / first.sum(1, keepdims=True)
    weights[:, -1] -= 1
    return weights


def step(epochs: int) -> float:
    """Returns how far apart two values of tau are: one pair of epochs in the other order."""
    return 4 / (epochs * (epochs - 1))


def interval(
    values: np.ndarray, rounded: float = 0.0, within: tuple[float, float] = (-np.inf, np.inf),
    pseudo: Sequence[np.ndarray] = (), crossed: bool = False,
) -> tuple[float, float, float]:  # fmt: skip
    """Returns the mean over replicates with its 95 % interval (Student's t). values: [replicates], NaN do not count;
    rounded: the width of the steps that they are in; within: what is possible; pseudo: of each replicate its
    pseudo-values [samples], if known; crossed: whether these are of the same samples. The interval of a single
    replicate is NaN."""
    known = np.flatnonzero(np.isfinite(values))
    if len(known) < FEWEST:
        return (float(values[known[0]]) if len(known) else np.nan), np.nan, np.nan
    of = [pseudo[replicate] for replicate in known] if len(pseudo) else []
    found = spread(values[known, None], np.stack(of)[..., None] if of and crossed else None)
    least = max(rounded**2 / 12, np.mean([each.var(ddof=1) / len(each) for each in of]) if of and not crossed else 0.0)
    half = replace(found, of_runs=np.maximum(found.of_runs, least / len(known))).half()[0]
    mean = float(found.mean[0])
    return mean, *(float(np.clip(end, *within)) for end in (mean - half, mean + half))


def permutation_p(x: np.ndarray, y: np.ndarray) -> float:
    """Returns in which share of the orders of the epochs the mean tau of x, in that order, and y is as far from 0 as
    it is: x and y [replicates, epochs]; NaN if every tau is."""
    x, y = _signs(x), _signs(y)
    known = (x != 0).any(1) & (y != 0).any(1)
    if not known.any():
        return np.nan
    norm = np.sqrt((x**2).sum(1) * (y**2).sum(1))
    at, sign = _pairs_in_order(_epochs_of(x.shape[1]))
    sums = sum((x[r][at] * sign) @ y[r] / norm[r] for r in np.flatnonzero(known))
    return float((abs(sums) >= abs(sums[0]) - ROUNDING).mean())


def _epochs_of(pairs: int) -> int:
    return round((1 + np.sqrt(1 + 8 * pairs)) / 2)


def _pairs_in_order(epochs: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns for orders of the epochs, the given one first, which pair stands in the place of each pair, and 1 or -1
    for its direction, [orders, pairs] each. All orders, or the given one and DRAWS random ones."""
    if factorial(epochs) <= DRAWS:
        orders = np.array(list(permutations(range(epochs))))
    else:
        drawn = np.random.default_rng(0).random((DRAWS, epochs)).argsort(-1)
        orders = np.concatenate([np.arange(epochs)[None], drawn])
    first, second = np.triu_indices(epochs, 1)
    number = np.zeros((epochs, epochs), dtype=int)
    number[first, second] = number[second, first] = np.arange(len(first))
    left, right = orders[:, first], orders[:, second]
    return number[left, right], np.where(left < right, 1.0, -1.0)


def _signs(values: np.ndarray) -> np.ndarray:
    """Returns the direction of each pair of epochs, -1, 0 or 1: [..., epochs] -> [..., pairs]."""
    first, second = np.triu_indices(values.shape[-1], 1)
    return np.sign(values[..., second] - values[..., first])


def _cosine(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    norm = np.sqrt((x**2).sum(-1) * (y**2).sum(-1))
    return np.divide((x * y).sum(-1), norm, out=np.full(norm.shape, np.nan), where=norm > 0)
