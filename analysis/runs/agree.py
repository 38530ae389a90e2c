"""Whether views of the same checkpoints agree over pre-training epochs and seeds: the tables that say it.

Two views are set side by side with the epochs and seeds that all compared views have. Those of one kind (a layer and
the mean of layers, say) are made from the same numbers: they are listed, and nothing is said of their agreement.
Seeds that share a draw of data or a pre-training are no seeds of their own: their mean counts.
"""

from itertools import combinations

import numpy as np
import pandas as pd

from analysis.runs.epochs import EPOCH, Epochs
from analysis.runs.views import VIEWS, of_name
from analysis.statistics.agreement import FEWEST_SEEDS, in_order, p_values, smallest_p
from analysis.statistics.curves import best_in, highest, interval, permutation_p, step, tau

ALPHA = 0.05
TRENDS = ["view", "epochs", "seeds", "tau", "tau_low", "tau_high", "p", "best", "best_in"]
TAUS, TESTS = ["tau_within", "tau_across", "difference"], ["z", "p", "p_adjusted", "p_shape"]
PAIRS = ["view", "other", "epochs", "seeds", *TAUS, *TESTS]


def over_epochs(found: Epochs, names: list[str]) -> pd.DataFrame:
    """Returns each view's mean at each epoch with its interval over seeds: view, epoch, seeds, mean, low, high."""
    rows = []
    for name in names:
        for epoch, values in found.curves[name].items():
            known = values[np.isfinite(values)].to_numpy()
            rows.append([name, epoch, len(known), *interval(known)])
    return pd.DataFrame(rows, columns=["view", EPOCH, "seeds", "mean", "low", "high"])


def trends(found: Epochs, names: list[str]) -> pd.DataFrame:
    """Returns how each view goes with the epoch, the epoch itself last: Kendall's tau with its interval over seeds, p
    over the orders of the epochs, and the (first) epoch where the mean is highest, in how many seeds that is so."""
    rows = []
    for name in [*names, EPOCH]:
        epochs, along, curves = found.together(EPOCH, names[0] if name == EPOCH else name)
        curves = along if name == EPOCH else curves
        if not len(curves):
            continue
        at = int(highest(curves.mean(0)).argmax())
        of_tau = interval(tau(along, curves), step(len(epochs)), (-1, 1))
        p = permutation_p(along, curves)
        rows.append([name, len(epochs), len(curves), *of_tau, p, int(epochs[at]), best_in(curves)])
    return pd.DataFrame(rows, columns=TRENDS)


def agreement(found: Epochs, names: list[str]) -> pd.DataFrame:
    """Returns a row for each pair of views. tau_within, tau_across: mean Kendall's tau over epochs, of the same seed
    and of two different ones; z, p, p_adjusted: of what seeds have beyond the mean of all (analysis/statistics/
    agreement.py); p_shape: the same once each seed's own mean over epochs is taken off, too."""
    pairs = np.array([*combinations(range(len(names)), 2)]).reshape(-1, 2)
    if not len(pairs):
        return pd.DataFrame(columns=PAIRS)
    epochs, views = _stacked(found, names)
    z, p, adjusted = p_values(views, pairs, np.array([is_tested(names[a], names[b]) for a, b in pairs]))
    shape = p_values(views - views.mean(-1, keepdims=True), pairs, np.zeros(len(pairs), bool))[1]
    rows = []
    for at, (first, second) in enumerate(pairs):
        within, across = in_order(views[first], views[second])
        about = [names[first], names[second], len(epochs), views.shape[1]]
        rows.append([*about, within, across, within - across, z[at], p[at], adjusted[at], shape[at]])
    return pd.DataFrame(rows, columns=PAIRS)


def is_tested(first: str, second: str) -> bool:
    """Tells whether two views might disagree: not a single layer, nor views of one kind."""
    return {first, second} <= VIEWS.keys() and of_name(first).kind != of_name(second).kind


def agreeing(pairs: pd.DataFrame) -> pd.DataFrame:
    """Returns the pairs that go together, or against each other, beyond the common trend, the clearest first."""
    return pairs[pairs["p_adjusted"] < ALPHA].sort_values("z", key=lambda z: -abs(z), kind="stable")


def lacks(pairs: pd.DataFrame) -> str:
    """Returns why nothing is tested, "" if it is."""
    seeds = int(pairs["seeds"].max()) if len(pairs) else 0
    if seeds >= FEWEST_SEEDS or seeds == 0:
        return ""
    could = f"with {seeds} no p can be below {smallest_p(seeds):.2g}" if seeds > 1 else "one has nothing to exchange"
    return f"it takes {FEWEST_SEEDS} seeds or more; {could}"


def _stacked(found: Epochs, names: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Returns the epochs, and the views [views, seeds, epochs]."""
    epochs, seeds, values = found.stacked(names)
    of = [found.highest.get(seed, seed) for seed in seeds]
    means = [values[[each == one for each in of]].mean(0) for one in dict.fromkeys(of)]
    return epochs, np.stack(means, axis=1) if means else np.zeros((len(names), 0, len(epochs)))
