"""The stage that fills the store: v of all 2**n masked inputs of the chosen samples, for every checkpoint."""

import math
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from omegaconf import DictConfig
from tqdm import tqdm

from data.splits import Splits
from interactions.checkpoints import Checkpoint, checkpoints_of
from interactions.masking import membership
from interactions.samples import Group, baseline, describe, load
from interactions.store import Store
from interactions.values import masked_values
from models.backbone import Classifier
from training.device import device, exact_float32
from training.files import write_array
from training.folder import finish, start
from training.plan import Need
from training.seeds import stream
from training.tracking import tracked
from training.train import new_model

DTYPES = {
    "float32": torch.float32,
    "float64": torch.float64,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}


def check(cfg: DictConfig) -> Need:
    model, splits = new_model(cfg, "probe", "target")
    units = checkpoints_of(cfg)
    device(cfg.interactions.device)
    describe(splits, cfg.interactions, cfg.seed)
    for unit in tqdm(units, desc="checking checkpoints", unit="file", dynamic_ncols=True, leave=False):
        if all(file.exists() for _, file, _ in unit.parts):  # others are yet to be made
            unit.load_into(model)
    values = len(units) * cfg.interactions.samples * 2**cfg.interactions.n
    return Need(forward=values, loaded=len(splits.train) if splits.kind == "image" else 0, disk=8 * values)


def run(cfg: DictConfig) -> None:
    options = cfg.interactions
    model, splits = new_model(cfg, "probe", "target")
    model.eval()
    units = checkpoints_of(cfg)
    about = describe(splits, options, cfg.seed)
    if about.get("too_short"):
        print(f"interactions: {about['too_short']} of {about['sentences']} {options.split} sentences have fewer than "
              f"n={options.n} words that count and are left out", flush=True)  # fmt: skip
    store = Store(start(cfg, "interactions"))
    store.write_samples(about)
    problem = Problem.read(store, splits, options, cfg.num_workers)
    with tracked(cfg, "interactions") as tracker:
        seconds = fill(store, units, model, problem, options, cfg.seed)
        count = len(units) * problem.samples * 2**options.n
        tracker.summary.update({"checkpoints": len(units), "masked_inputs": count, "seconds": seconds})
    finish(store.folder)


@dataclass(frozen=True)
class Problem:
    """What every checkpoint is evaluated on, on the device: samples in groups of one shape, and the baseline [...]."""

    groups: list[Group]
    baseline: torch.Tensor

    @classmethod
    def read(cls, store: Store, splits: Splits, options: DictConfig, num_workers: int) -> "Problem":
        where = device(options.device)
        base = _stored_baseline(store.folder / "baseline.npy", splits, options.baseline, num_workers)
        groups = []
        for group in load(splits, store.samples()):
            inputs = group.inputs
            if options.background == "mask":
                inputs = torch.where(group.owner == -1, base, inputs)
            groups.append(Group(group.first, inputs.to(where), group.owner.to(where), group.labels.to(where)))
        return cls(groups, base.to(where))

    @property
    def samples(self) -> int:
        return sum(len(group.labels) for group in self.groups)

    def blocks(self, count: int) -> list[range]:
        """All samples, in order, in runs of at most `count` that have one shape."""
        return [
            range(group.first + start, group.first + min(start + count, len(group.labels)))
            for group in self.groups
            for start in range(0, len(group.labels), count)
        ]

    def values(
        self, model: Classifier, sample: np.ndarray, subset: np.ndarray, dtype: torch.dtype, batch_size: int
    ) -> np.ndarray:
        """v of the masked inputs (sample[k], subset[k]), computed in `dtype`: [K] float64."""
        model = model.to(self.baseline.device, dtype, memory_format=torch.channels_last)
        v = np.empty(len(sample))
        for group in self.groups:
            mine = (sample >= group.first) & (sample < group.first + len(group.labels))
            if mine.any():
                v[mine] = self._values(group, model, sample[mine] - group.first, subset[mine], dtype, batch_size)
        return v

    def _values(
        self, group: Group, model: Classifier, sample: np.ndarray, subset: np.ndarray, dtype: torch.dtype, size: int
    ) -> np.ndarray:
        inputs, base = (x.to(dtype) if x.is_floating_point() else x for x in (group.inputs, self.baseline))
        member, where = membership(group.owner), inputs.device
        with exact_float32():
            v = masked_values(model, inputs, base, member, group.labels, torch.from_numpy(sample).to(where),
                              torch.from_numpy(subset).to(where), size)  # fmt: skip
        return v.cpu().numpy()


def fill(
    store: Store, units: list[Checkpoint], model: Classifier, problem: Problem, options: DictConfig, seed: int
) -> float:
    """Evaluates what is missing, in blocks of samples that are kept as soon as they are there. Returns seconds."""
    samples, subsets = problem.samples, 2**options.n
    blocks = problem.blocks(math.ceil(options.batch_size / subsets))
    missing = [unit for unit in units if not store.has(unit.stage, unit.epoch)]
    started = time.monotonic()
    bar = tqdm(total=len(units) * samples, desc="interactions", unit="sample", dynamic_ncols=True, mininterval=0.5)
    bar.update((len(units) - len(missing)) * samples)
    for unit in missing:
        bar.set_postfix_str(f"{unit.stage} epoch {unit.epoch}")
        if unit.last:
            _measure_noise(store, unit, model, problem, options, seed)
        unit.load_into(model)
        for block in blocks:
            if not store.has_part(unit.stage, unit.epoch, block):
                sample, subset = np.repeat(block, subsets), np.tile(np.arange(subsets), len(block))
                v = problem.values(model, sample, subset, DTYPES[options.precision], options.batch_size)
                store.write_part(unit.stage, unit.epoch, block, v.reshape(len(block), subsets))
            bar.update(len(block))
        about = {"stage": unit.stage, "epoch": unit.epoch, "samples": samples, "n": options.n,
                 "precision": options.precision, "batch_size": options.batch_size,
                 "device": str(problem.baseline.device), "files": [str(file) for _, file, _ in unit.parts]}  # fmt: skip
        store.complete(unit.stage, unit.epoch, blocks, about)
    bar.close()
    store.remove_parts(store.folder)  # of a run that was killed between joining and removing them
    return time.monotonic() - started


def _measure_noise(
    store: Store, unit: Checkpoint, model: Classifier, problem: Problem, options: DictConfig, seed: int
) -> None:
    """Evaluates some masked inputs in float64 too."""
    draw = np.random.default_rng(stream(seed, "noise"))
    sample = draw.integers(problem.samples, size=options.noise_masks)
    subset = draw.integers(2**options.n, size=options.noise_masks)
    unit.load_into(model)
    v = problem.values(model, sample, subset, torch.float64, options.batch_size)
    store.write_noise(unit.stage, unit.epoch, sample=sample, subset=subset, value=v)


def _stored_baseline(path: Path, splits: Splits, kind: str, num_workers: int) -> torch.Tensor:
    if not path.exists():
        write_array(path, baseline(splits, kind, num_workers).numpy())
    return torch.from_numpy(np.load(path))
