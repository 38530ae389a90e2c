"""Measures the time of a full analysis, without forward passes: 100 samples, 2**12 masked inputs, 50 checkpoints.

A store of random values is read, transformed, and turned into every table with the paper's options (20 permutations,
1,000 resamples). The time of claims is part of their measures' time.

python -m benchmarks.analysis writes benchmarks/analysis.csv.
"""

import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from analysis.claims import Claim
from analysis.formulas.accuracy import Outcomes
from analysis.loading import load
from analysis.measure import Measure
from analysis.robust import doubtful, with_noise
from analysis.study import Options, Study
from benchmarks.timing import record
from conf.measures import ours
from interactions.mobius import interactions
from interactions.store import Samples, Store

Claims = list[tuple[Measure, list[Claim]]]
SAMPLES, N, EPOCHS = 100, 12, {"pretrain": 1, "finetune": 25, "scratch": 24}
TEST_SAMPLES, CLASSES, SEED = 800, 10, 0
PAPER = {"salient": False, "tau": 0.05, "empty_set": True, "normalise": False, "permutations": 20, "resamples": 1000}


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        taken = measure(synthetic(Path(folder)))
    whole = sum(taken.values())
    rows = [(step, round(seconds, 2), f"{seconds / whole:.0%}") for step, seconds in taken.items()]
    record(pd.DataFrame([*rows, ("together", round(whole, 2), "100%")], columns=["step", "seconds", "share"]), __file__)


def synthetic(folder: Path) -> Study:
    """Returns a study with random values; half of each checkpoint's variance is common to all checkpoints."""
    draw, samples = np.random.default_rng(SEED), Samples(folder / "samples")
    about = [{"index": i, "label": 0, "class": "0", "variables": []} for i in range(SAMPLES)]
    samples.write({"split": "test", "n": N, "kind": "image", "samples": about})
    stores = {model: Store(folder / model, samples) for model in EPOCHS}
    shared, every = draw.normal(size=(SAMPLES, 2**N)), range(SAMPLES)
    for model, store in stores.items():
        for epoch in range(EPOCHS[model]):
            v = shared + draw.normal(size=shared.shape)
            store.write_part(epoch, every, v)
            store.complete(epoch, [every], {"precision": "float32"})
            exact = v[:10, :10].diagonal() + 1e-6 * draw.normal(size=10)
            store.write_noise(epoch, sample=np.arange(10), subset=np.arange(10), value=exact)
    epochs = {model: list(range(count)) for model, count in EPOCHS.items()}
    return Study(samples, stores, epochs, Options(**PAPER, seed=SEED))


def measure(study: Study) -> dict[str, float]:
    """Returns the seconds of each step."""
    draw = np.random.default_rng(SEED)
    study.labels = draw.integers(CLASSES, size=TEST_SAMPLES)
    study.outcomes = {
        model: Outcomes((draw.random((TEST_SAMPLES, epochs)) < 0.8).astype(float), draw.random((TEST_SAMPLES, epochs)))
        for model, epochs in EPOCHS.items()
    }
    stored = [(model, epoch) for model in study.models for epoch in study.epochs(model)]
    v: list[np.ndarray] = []
    found: Claims = []
    steps: dict[str, Callable] = {
        "reading all values": lambda: v.extend(study.values(model, epoch) for model, epoch in stored),
        "transforming them": lambda: [interactions(values) for values in v],
        "permutations": lambda: study.permutations,
        **{name: partial(tables, load(name, {}), study, found) for name in ours()},
        "claims against noise": lambda: against_noise(study, found),
    }
    taken = {}
    for name, step in steps.items():
        started = time.perf_counter()
        step()
        taken[name] = time.perf_counter() - started
    return taken


def tables(measure: Measure, study: Study, found: Claims) -> None:
    """Computes all of a measure but its figure, and adds its claims to `found`."""
    measured = measure.samples(study)
    measure.table(measured)
    found.append((measure, measure.claims(measured)))


def against_noise(study: Study, found: Claims) -> None:
    noisy = with_noise(study)
    for measure, claims in found:
        doubtful(noisy, measure, claims)


if __name__ == "__main__":
    main()
