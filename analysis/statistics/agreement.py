"""Do two views of the same checkpoints agree? Each view is a curve over pre-training epochs, one for every seed.

Any two curves that rise are alike, whatever they measure, and six epochs in another order would say that this is no
accident: so exchanging epochs finds nearly always that unrelated views with a common trend agree. What tells more is
the rest. From each curve the mean over seeds is taken off, epoch by epoch; what is left is a seed's own trajectory. If
two views see the same thing, then a seed that lies high in one at some epoch lies high in the other there:

    T = sum over seeds r and epochs e of X_re Y_re

It is compared with T where the trajectories of Y are given to other seeds, each as a whole: all R! ways, or drawn ones.
Below .05 for some pair of many is nothing special: adjusted for the number of pairs is the share of exchanges in which
the largest of all |z| is as large, z being T in units of its standard deviation over exchanges. With three seeds p is
1/6 at least, with four 1/24, which the number of pairs makes larger than .05: nothing is tested with fewer than five.
"""

from itertools import permutations
from math import factorial

import numpy as np

from analysis.statistics.curves import ROUNDING, tau

FEWEST_SEEDS, ALL_UP_TO = 5, 7  # for a test; seeds whose exchanges are all counted
PAIRS_AT_ONCE = 16  # they need memory


def smallest_p(seeds: int) -> float:
    """Returns the smallest p that exchanges of so many seeds can give."""
    return 1 / factorial(seeds)


def exchanges(seeds: int) -> np.ndarray:
    """Returns which seed's trajectory each seed gets, its own first: all ways, or as many drawn ones as seven seeds
    have. [exchanges, seeds]."""
    if seeds <= ALL_UP_TO:
        return np.array(list(permutations(range(seeds))))
    drawn = np.random.default_rng(0).random((factorial(ALL_UP_TO) - 1, seeds)).argsort(-1)
    return np.concatenate([np.arange(seeds)[None], drawn])


def statistics(views: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Returns z of each pair of views at each exchange, the given one first: [views, seeds, epochs], [pairs, 2] ->
    [pairs, exchanges]; NaN where seeds do not differ in one of the two."""
    rest = views - views.mean(1, keepdims=True)
    rest = np.where(abs(rest) > ROUNDING * abs(views).max(initial=0, axis=(1, 2), keepdims=True), rest, 0.0)
    seeds = views.shape[1]
    ways, own = exchanges(seeds), np.arange(seeds)
    found = np.full((len(pairs), len(ways)), np.nan)
    for first in range(0, len(pairs), PAIRS_AT_ONCE):
        some = slice(first, first + PAIRS_AT_ONCE)
        products = np.einsum("pre,pse->prs", rest[pairs[some, 0]], rest[pairs[some, 1]])
        # Over all exchanges, as rows and columns add up to 0.
        deviation = np.sqrt((products**2).sum((1, 2)) / max(seeds - 1, 1))
        known = deviation > 0
        found[some][known] = products[known][:, own, ways].sum(-1) / deviation[known, None]
    return found


def p_values(views: np.ndarray, pairs: np.ndarray, together: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns z, p and p adjusted for the number of pairs, [pairs] each.

    views: [views, seeds, epochs]; pairs: [pairs, 2], places of views; together: [pairs], the pairs that count as a
    family: the others get no adjusted p. With too few seeds both p are NaN.
    """
    z = statistics(views, pairs)
    if views.shape[1] < FEWEST_SEEDS or not len(pairs):
        return z[:, 0], np.full(len(pairs), np.nan), np.full(len(pairs), np.nan)
    known, least = np.isfinite(z[:, 0]), abs(z[:, :1]) - ROUNDING
    p = np.where(known, (abs(z) >= least).mean(1), np.nan)
    family = together & known
    largest = abs(z[family]).max(0, initial=0)
    return z[:, 0], p, np.where(family, (largest >= least).mean(1), np.nan)


def in_order(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Returns the mean Kendall's tau of x and y over epochs, of the same seed and of two different ones, [seeds,
    epochs] each: a trend that all seeds share makes both large, what is a seed's own the first one alone."""
    seeds = len(x)
    taus = tau(x[:, None], y[None])
    own = np.eye(seeds, dtype=bool)
    return tuple(_mean(taus[of]) for of in (own, ~own))


def _mean(values: np.ndarray) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else np.nan
