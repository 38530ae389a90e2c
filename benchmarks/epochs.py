"""Measures how often claims on curves over pre-training epochs are met, where they are true and where they are not.

Worlds have 6 epochs, and noise of 1 point that no two epochs or seeds share:
plateau      all epochs are equally good: what is found is noise
falls        accuracy rises by 3 points to the third epoch, and falls again
unrelated    score and accuracy differ between epochs, in all seeds alike, and have nothing to do with each other

python -m benchmarks.epochs writes benchmarks/epochs.csv, in about a minute.
"""

from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd

from analysis.statistics.curves import best, fall, interval, permutation_p, step, tau, width
from benchmarks.timing import record

EPOCHS, SEEDS, SETS = np.array([1.0, 2, 5, 10, 20, 40]), (2, 3, 5, 10), 4000
NOISE, APART = 0.01, 0.03  # of an accuracy; how far epochs differ in an unrelated world
SHAPES = {"plateau": np.zeros(6), "falls": np.array([0, 0.02, 0.03, 0.02, 0.01, 0.0])}
FALLS, BEFORE = "FE falls after its best epoch", "best FE epoch before best FT epoch"
RANKS, BY_SEEDS = "accuracy goes with a score (tau above 0)", "interval over seeds"
SHARED = "unrelated"
Found = dict[tuple[str, str], bool]


def main() -> None:
    record(rates(), __file__)


def rates(seeds: tuple[int, ...] = SEEDS, sets: int = SETS) -> pd.DataFrame:
    """Returns in which percentage of sets of runs each claim is met. Columns: claim, how, world, then one for each
    number of seeds."""
    columns = {}
    for count in seeds:
        for world, of in _worlds():
            draw = np.random.default_rng([count, len(world)])
            each = [of(draw, count) for _ in range(sets)]
            for claim, how in each[0]:
                met = np.mean([found[claim, how] for found in each])
                columns.setdefault((claim, how, world), {})[count] = round(100 * float(met), 1)
    return pd.DataFrame([{"claim": claim, "how": how, "world": world} | found
                         for (claim, how, world), found in columns.items()])  # fmt: skip


def _worlds() -> Iterator[tuple[str, Callable[[np.random.Generator, int], Found]]]:
    for world, shape in SHAPES.items():
        yield world, lambda draw, count, shape=shape: _curves(draw, count, shape)
    yield SHARED, _unrelated


def _curves(draw: np.random.Generator, count: int, shape: np.ndarray) -> Found:
    """FE has this shape, and FT is a plateau."""
    fe, ft = (of + draw.normal(scale=NOISE, size=(count, len(EPOCHS))) for of in (shape, SHAPES["plateau"]))
    same = fe[np.arange(count), fe.argmax(1)] - fe[:, -1]
    of_mean = fe[:, fe.mean(0).argmax()] - fe[:, -1]
    earlier = best(ft, EPOCHS) - best(fe, EPOCHS)
    rounded = float(np.hypot(width(fe, EPOCHS), width(ft, EPOCHS)))
    return {
        (FALLS, "epoch from the other seeds"): _above(fall(fe)),
        (FALLS, "epoch of the mean curve"): _above(of_mean),
        (FALLS, "epoch of the same seed"): _above(same),
        (BEFORE, BY_SEEDS): _above(earlier, rounded),
    } | (_ranked(fe, ft) if not shape.any() else {})


def _unrelated(draw: np.random.Generator, count: int) -> Found:
    one, other = (draw.normal(scale=APART, size=len(EPOCHS)) + draw.normal(scale=NOISE, size=(count, len(EPOCHS)))
                  for _ in range(2))  # fmt: skip
    return _ranked(one, other)


def _ranked(score: np.ndarray, accuracy: np.ndarray) -> Found:
    taus = tau(score, accuracy)
    by_seeds = _above(taus, step(len(EPOCHS)))
    return {
        (RANKS, BY_SEEDS): by_seeds,
        (RANKS, "interval, without the width of steps"): _above(taus),
        (RANKS, "permutation p below 0.05"): bool(taus.mean() > 0 and permutation_p(score, accuracy) < 0.05),
    }


def _above(values: np.ndarray, rounded: float = 0.0) -> bool:
    return interval(values, rounded)[1] > 0


if __name__ == "__main__":
    main()
