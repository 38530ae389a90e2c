"""What several processes gain: the interactions stage of one study by one and by two processes of one thread each.

The processes of the stage itself fill the store of a study with one checkpoint of each kind, densely. They are timed
from when each has given its first values, since they take seconds to start, once; runs alternate, medians.
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
from checkpoints.roles import checkpoints_of
from conf import schema
from data.splits import Splits
from interactions.store import Store
from interactions.units import Unit
from interactions.variables.sample_set import SampleSet
from interactions.variables.samples import describe
from interactions.workers import evaluated
from training.folder import start
from training.tasks import new_model

CONF = Path(__file__).resolve().parents[1] / "conf"
N, SAMPLES, REPEATS = 10, 14, 5


def main() -> None:
    os.environ["OMP_NUM_THREADS"] = "1"  # of the processes that are started
    with tempfile.TemporaryDirectory() as folder:
        cfg, units = study(Path(folder))
        taken = [(seconds(cfg, units, 1), seconds(cfg, units, 2)) for _ in range(REPEATS)]
    one, two = (statistics.median(side) for side in zip(*taken, strict=True))
    rows = [{"processes": count, "samples per second": round(1 / each, 2)} for count, each in ((1, one), (2, two))]
    rows[1]["times faster than one"] = round(statistics.median(alone / both for alone, both in taken), 2)
    record(pd.DataFrame(rows), __file__)


def study(folder: Path) -> tuple[DictConfig, list[Unit]]:
    """The default experiment with checkpoints of random weights, and what its interactions stage evaluates."""
    schema.register()
    files = {role: folder / f"{role}_1.pt" for role in ("pretrain", "finetune", "scratch")}
    given = [f"interactions.checkpoints.{role}={file}" for role, file in files.items()]
    options = [f"interactions.n={N}", f"interactions.samples={SAMPLES}", "interactions.engine=dense"]
    with initialize_config_dir(str(CONF), version_base="1.3"):
        cfg = compose("config", [f"run_dir={folder}/run", *given, *options])
    model, splits = new_model(cfg, "probe", "target")
    for file in files.values():
        torch.save(model.state_dict(), file)
    return cfg, prepared(cfg, splits)


def prepared(cfg: DictConfig, splits: Splits) -> list[Unit]:
    """The stage's folder with all but values; a sample at a time."""
    store, cpu = Store(start(cfg, "interactions")), torch.device("cpu")
    store.write_samples(describe(splits, cfg.interactions, cfg.seed))
    sample_set = SampleSet.read(store, splits, cfg.interactions, cfg.num_workers, cpu)
    return [(number, block) for number in range(len(checkpoints_of(cfg))) for block in sample_set.blocks(1)]


def seconds(cfg: DictConfig, units: list[Unit], count: int) -> float:
    """Per sample, by `count` processes: from when all have given values to the last."""
    ended = [time.perf_counter() for _ in evaluated(cfg, units, count)]
    return (ended[-1] - ended[2 * count - 1]) / (len(ended) - 2 * count)


if __name__ == "__main__":
    main()
