"""Measures what several processes gain: one study's interactions stage by one and by two processes of one thread each.

The stage's own processes fill the store of a role with three checkpoints, using the dense engine. They are timed from
the moment when each has delivered its first values, since the start takes seconds, only once. Runs alternate; the
results are medians.
python -m benchmarks.processes writes benchmarks/processes.csv.
"""

import os
import statistics
import tempfile
import time
from pathlib import Path

import pandas as pd
import torch
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from benchmarks.timing import record
from checkpoints.roles import Checkpoint, checkpoints_of
from conf import schema
from data.splits import Splits
from interactions.store import Samples, Store
from interactions.units import Unit
from interactions.variables.sample_set import SampleSet
from interactions.variables.samples import baseline, describe
from interactions.workers import evaluated
from training.tasks import new_model

CONF = Path(__file__).resolve().parents[1] / "conf"
N, SAMPLES, CHECKPOINTS, REPEATS = 10, 14, 3, 5


def main() -> None:
    os.environ["OMP_NUM_THREADS"] = "1"  # for the processes that are started
    with tempfile.TemporaryDirectory() as folder:
        given = study(Path(folder))
        taken = [(seconds(*given, 1), seconds(*given, 2)) for _ in range(REPEATS)]
    one, two = (statistics.median(side) for side in zip(*taken, strict=True))
    rows = [{"processes": count, "samples per second": round(1 / each, 2)} for count, each in ((1, one), (2, two))]
    rows[1]["times faster than one"] = round(statistics.median(alone / both for alone, both in taken), 2)
    record(pd.DataFrame(rows), __file__)


def study(folder: Path) -> tuple[DictConfig, Store, list[Checkpoint], list[Unit]]:
    """Returns the default experiment with checkpoints of random weights, and the units of its interactions stage, one
    sample each."""
    schema.register()
    options = [f"interactions.n={N}", f"interactions.samples={SAMPLES}", "interactions.engine=dense"]
    with initialize_config_dir(str(CONF), version_base="1.3"):
        cfg = compose("config", [f"interactions.checkpoints.finetune={folder}/epoch_*.pt", *options])
    model, splits = new_model(cfg, "probe", "target")
    for epoch in range(CHECKPOINTS):
        torch.save(model.state_dict(), folder / f"epoch_{epoch}.pt")
    store, checkpoints = prepared(cfg, splits, folder), checkpoints_of(cfg, {}, "interactions/finetune")
    about, masking = store.samples.read(), store.samples.baseline()
    blocks = SampleSet.read(about, masking, splits, cfg.interactions.background, torch.device("cpu")).blocks(1)
    return cfg, store, checkpoints, [(number, block) for number in range(CHECKPOINTS) for block in blocks]


def prepared(cfg: DictConfig, splits: Splits, folder: Path) -> Store:
    """Returns a store that has everything except values."""
    samples = Samples(folder / "samples")
    samples.write(describe(splits, cfg.interactions, cfg.seeds.samples))
    samples.write_baseline(baseline(splits, cfg.interactions.baseline).numpy())
    return Store(folder / "finetune", samples)


def seconds(cfg: DictConfig, store: Store, checkpoints: list[Checkpoint], units: list[Unit], count: int) -> float:
    """Returns the seconds per sample by `count` processes, from the moment when all have delivered values to the
    end."""
    ended = [time.perf_counter() for _ in evaluated(cfg, store, checkpoints, units, count)]
    return (ended[-1] - ended[2 * count - 1]) / (len(ended) - 2 * count)


if __name__ == "__main__":
    main()
