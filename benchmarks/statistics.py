"""Measures how often intervals contain the truth, and how often claims are found where nothing is: simulated worlds.

coverage          % of 95 % intervals that contain the truth: of one run, for other samples; of several runs on the same
                  samples (crossed) or on samples of their own (nested), for other samples and trainings
false positives   % of studies in which the fine-tuned model is found to share more, where it does not
power             % of studies in which it is found, where it does

python -m benchmarks.statistics writes benchmarks/statistics.csv, in about five minutes on two cores.
"""

import os
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from itertools import product
from multiprocessing import get_context

import numpy as np
import pandas as pd

from analysis.claims import MET
from analysis.measured import Measured
from analysis.measures import accuracy, decomposition, jaccard, ratio
from analysis.runs.tables import Rows, over_runs
from analysis.statistics.estimate import Interval, quotient
from analysis.study import Study
from benchmarks.timing import record
from benchmarks.worlds import TESTS, World

SAMPLES, SCALES, RUNS = (20, 50, 100), (0.5, 1.0, 1.5), (1, 2, 3, 5, 10)
SETS, STUDIES = 400, 300  # of runs for each number of coverage, of other numbers
OF_TRUTH = {"sets": 100, "samples": 1000}
ACCURACIES = ("accuracy/finetune", "accuracy/scratch")
STEP = 7  # nested runs of one set are taken from so distant sets
CORRELATED = World(n=5, salience=0, training=0.1, kept=0.5, found=0.3)
NOTHING = {"sample scale": World(scale=1.2, salience=0), "patch salience": World(scale=0), "both": World()}
ALIKE = World(kept=0.5, found=0.5)
SCRATCH = {
    "same law": ALIKE,
    "noisier, 1.5 times": replace(ALIKE, noise=1.5),
    "heavier tails": replace(ALIKE, tails=1.5),
}
ROW = ["question", "quantity", "world", "runs"]


def main() -> None:
    with ProcessPoolExecutor(os.cpu_count(), get_context("spawn")) as pool:
        tasks = [pool.submit(coverage, scale) for scale in SCALES]
        kinds = [("false positives", "sign", f"shared: {name}", world) for name, world in NOTHING.items()]
        kinds += [("false positives", "task", f"scratch: {name}", world) for name, world in SCRATCH.items()]
        kinds += [("power", "sign", f"{same:.0%} of effects equal", World(same=same)) for same in (0.05, 0.1, 0.2)]
        tasks += [pool.submit(found_more, *kind) for kind in kinds]
        record(pd.concat([task.result() for task in tasks]), __file__)


def coverage(
    scale: float, samples: tuple[int, ...] = SAMPLES, runs: tuple[int, ...] = RUNS, sets: int = SETS
) -> pd.DataFrame:
    """Returns how often intervals contain the truth, in worlds whose samples' strengths have this log-sd. Columns: ROW,
    then one for each number of samples."""
    draw, several = np.random.default_rng(int(10 * scale)), replace(CORRELATED, scale=scale)
    cells = []
    for world, numbers in ((replace(several, training=0), [1]), (several, [each for each in runs if each > 1])):
        if not numbers:
            continue
        truth = _truth(world, draw)
        each = [per_sample(run, sets) for run in world.runs(max(numbers), max(samples), draw, sets)]
        for of, count in product(range(len(each[0])), samples):
            rows = [as_rows(run[of], count) for run in each]
            for number in numbers:
                for design, chosen in (("crossed", rows), ("nested", nested(rows, sets)))[: min(number, 2)]:
                    found = _covered(over_runs(chosen[:number], ["quantity", "set"]), truth)
                    cells.append(found.assign(runs=f"{number} {design}" if number > 1 else "1", samples=count))
    found = pd.concat(cells).pivot_table("covered", ["quantity", "runs"], "samples", sort=False)
    return _with_words(found.reset_index().rename_axis(columns=None), question="coverage", world=f"log-sd {scale:g}")


def per_sample(study: Study, sets: int) -> tuple[Measured, Measured]:
    """Returns what the measures find on each sample of each set of runs [samples, sets, ...]: on those with
    interactions, and on those of the test set."""
    parts, shares, curves, right = (of.samples(study) for of in (decomposition, ratio, jaccard, accuracy))
    some, subsets = parts.about["order"] > 0, parts.about["subsets"]

    def total(strength: np.ndarray) -> np.ndarray:
        return strength[:, some] @ subsets[some]

    found = {name: total(parts.observed[name]) for name in ("preserved", "discarded", "pretrain")}
    found |= {"strengths": parts.observed["preserved"], "jaccard": curves.observed["finetune"][:, 0]}
    found |= {name: shares.observed[name] for name in shares.observed}
    outcomes = {name: array[:, -1] for name, array in right.observed.items()}
    levels = {"preserved": total(parts.references["sign"]["preserved"])}

    def apart(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {name: array.reshape(-1, sets, *array.shape[1:]) for name, array in arrays.items()}

    return Measured(apart(found), {"sign": apart(levels)}), Measured(apart(outcomes))


def intervals(of: Measured) -> dict[str, Interval]:
    """Returns the interval of each quantity, [sets] or [sets, orders]."""
    if ACCURACIES[0] in of.observed:
        return {"accuracy difference": of.estimate(ACCURACIES, np.subtract).own}
    share = of.estimate(("preserved", "pretrain"), quotient)
    part = of.estimate(("preserved", "sign/preserved"), lambda p, r: 1 - quotient(r, p), alone=True)
    return {
        "mean strengths": of.strength("strengths").own,
        "discarded / preserved": of.estimate(("discarded", "preserved"), quotient, log=True, alone=True).own,
        "preserved share": share.own,
        "excess over sign": share.excess["sign"],
        "excess / preserved": part.own,
        "ratio, all S": of.estimate(("paper/learned", "paper/preserved"), quotient).own,
        "ratio, weighted": of.estimate(("weighted/learned", "weighted/preserved"), quotient).own,
        "Jaccard": of.estimate("jaccard").own,
    }


def as_rows(measured: Measured, count: int) -> Rows:
    """Returns intervals of the first `count` samples of each set (and all test samples that belong to them) as rows of
    a table, with pseudo-values."""
    if ACCURACIES[0] in measured.observed:
        count *= TESTS

    def first(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {name: array[:count] for name, array in arrays.items()}

    levels = {name: first(arrays) for name, arrays in measured.references.items()}
    tables, pseudo, log = [], [], []
    for quantity, found in intervals(Measured(first(measured.observed), levels)).items():
        parts = [part.T.ravel() for part in found[:3]]  # sets next to each other
        keys = {"quantity": quantity, "set": np.arange(len(parts[0]))}
        tables.append(pd.DataFrame(keys | dict(zip(("mean", "low", "high"), parts, strict=True))))
        pseudo.append(np.moveaxis(found.pseudo, 1, -1).reshape(count, -1))
        log.append(np.full(len(parts[0]), found.log))
    together = {"mean": np.concatenate(pseudo, axis=1), "log": np.concatenate(log)}
    return Rows(pd.concat(tables, ignore_index=True), together, b"the same samples")


def nested(rows: list[Rows], sets: int) -> list[Rows]:
    """Returns the same runs, each taken from another set: no two have the same samples."""
    found = []
    for run, each in enumerate(rows):
        place = np.arange(len(each.table)).reshape(-1, sets)
        place = np.roll(place, STEP * run, axis=1).ravel()
        table = each.table.copy()
        for name in ("mean", "low", "high"):
            table[name] = each.table[name].to_numpy()[place]
        found.append(Rows(table, each.pseudo | {"mean": each.pseudo["mean"][:, place]}, bytes([run])))
    return found


def _truth(world: World, draw: np.random.Generator) -> dict[str, np.ndarray]:
    """Returns the mean of each quantity over trainings (of the logarithm, where it is estimated so): name -> [] or
    [orders]."""
    (run,) = world.runs(1, OF_TRUTH["samples"], draw, OF_TRUTH["sets"])
    found = {name: each for of in per_sample(run, OF_TRUTH["sets"]) for name, each in intervals(of).items()}
    return {name: np.exp(np.log(each.value).mean(0)) if each.log else each.value.mean(0)
            for name, each in found.items()}  # fmt: skip


def _covered(over: pd.DataFrame, truth: dict[str, np.ndarray]) -> pd.DataFrame:
    """Returns the % of intervals of each quantity that contain the truth."""
    inside = []
    for name, rows in over.groupby("quantity", sort=False):
        expected = np.repeat(truth[name], len(rows) // truth[name].size)  # sets next to each other
        inside.append((name, round(100 * np.mean((rows["low"] <= expected) & (expected <= rows["high"])), 1)))
    return pd.DataFrame(inside, columns=["quantity", "covered"])


def found_more(
    question: str, reference: str, name: str, world: World, samples: tuple[int, ...] = SAMPLES, studies: int = STUDIES
) -> pd.DataFrame:
    """Returns how often fine-tuned is found to share more with pre-trained than under the reference: in total, without
    order 0, and at some order."""
    each = {count: [_is_more(world, count, reference, number) for number in range(studies)] for count in samples}
    found = pd.DataFrame({count: (100 * np.mean(of, axis=0)).round(1) for count, of in each.items()})
    found.insert(0, "quantity", [f"more than {reference}, {where}" for where in ("in total", "at some order")])
    return _with_words(found, question=question, world=name, runs="1")


def _is_more(world: World, samples: int, reference: str, seed: int) -> tuple[bool, bool]:
    (run,) = world.runs(1, samples, np.random.default_rng([samples, seed]))
    measured = replace(decomposition.samples(run), equal=None)
    measured = replace(measured, references={reference: measured.references[reference]})
    (claim,) = (each for each in decomposition.claims(measured) if each.key == f"preserved/{reference}")
    return claim.verdict == MET, bool((measured.strength("preserved").excess[reference].low > 0).any())


def _with_words(table: pd.DataFrame, **words: str) -> pd.DataFrame:
    table = table.assign(**words)
    return table[[*ROW, *(name for name in table if name not in ROW)]]


if __name__ == "__main__":
    main()
