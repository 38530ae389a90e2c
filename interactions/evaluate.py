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
from interactions.masking import membership
from interactions.samples import baseline, describe, load
from interactions.store import Store
from interactions.values import masked_values
from models import weights
from models.backbone import Classifier
from training import checkpoints
from training.device import device, exact_float32
from training.files import write_array
from training.folder import finish, stage_folder, start
from training.seeds import stream
from training.tracking import tracked
from training.train import new_model

DTYPES = {
    "float32": torch.float32,
    "float64": torch.float64,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}


def check(cfg: DictConfig) -> None:
    model, splits = new_model(cfg, "probe", "target")
    for unit in tqdm(checkpoints_of(cfg), desc="checking checkpoints", unit="file", dynamic_ncols=True, leave=False):
        if all(file.exists() for _, file, _ in unit.parts):  # others are yet to be made
            unit.load_into(model)
    describe(splits, cfg.interactions, cfg.seed)
    device(cfg.interactions.device)


def run(cfg: DictConfig) -> None:
    options = cfg.interactions
    model, splits = new_model(cfg, "probe", "target")
    model.eval()
    units = checkpoints_of(cfg)
    store = Store(start(cfg, "interactions"))
    store.write_samples(describe(splits, options, cfg.seed))
    problem = Problem.read(store, splits, options)
    with tracked(cfg, "interactions") as tracker:
        seconds = fill(store, units, model, problem, options, cfg.seed)
        count = len(units) * len(problem.labels) * 2**options.n
        tracker.summary.update({"checkpoints": len(units), "masked_inputs": count, "seconds": seconds})
    finish(store.folder)


@dataclass(frozen=True)
class Checkpoint:
    """A model whose values are wanted: each of its parts ("" for the whole) with the file that holds it."""

    stage: str
    epoch: int
    parts: tuple[tuple[str, Path, str], ...]  # (part of the model, file, part of the file's weights)
    last: bool = False

    def load_into(self, model: Classifier) -> None:
        """Raises BadInput if a file is damaged, of another model, or holds NaN."""
        model.float()
        for name, file, inside in self.parts:
            state = checkpoints.read(file)
            weights.load(model.get_submodule(name), weights.part(state, inside) if inside else state, file)


def checkpoints_of(cfg: DictConfig) -> list[Checkpoint]:
    """The probed pre-trained model, and every kept epoch of fine-tuning and of training from scratch."""
    pretrained = checkpoints.path(stage_folder(cfg, "pretrain"), cfg.pretrain.epochs)
    head = checkpoints.path(stage_folder(cfg, "probe"), cfg.probe.epochs)
    probed = (("backbone", pretrained, "backbone"), ("head", head, ""))
    units = [Checkpoint("probe", cfg.probe.epochs, probed, last=True)]
    for stage in ("finetune", "scratch"):
        last = cfg[stage].epochs
        folder = stage_folder(cfg, stage)
        for epoch in sorted(checkpoints.kept(cfg.checkpoints.epochs, last)):
            file = checkpoints.path(folder, epoch)
            units.append(Checkpoint(stage, epoch, (("", file, ""),), last=epoch == last))
    return units


@dataclass(frozen=True)
class Problem:
    """What every checkpoint is evaluated on, on the device. inputs: [S, ...]; baseline: [...]; member: [S, ...];
    labels: [S]."""

    inputs: torch.Tensor
    baseline: torch.Tensor
    member: torch.Tensor
    labels: torch.Tensor

    @classmethod
    def read(cls, store: Store, splits: Splits, options: DictConfig) -> "Problem":
        where = device(options.device)
        samples = store.samples()["samples"]
        inputs, owner = load(getattr(splits, options.split), samples)
        base = _stored_baseline(store.folder / "baseline.npy", splits, options.baseline)
        if options.background == "mask":
            inputs = torch.where(owner < 0, base, inputs)
        labels = torch.tensor([sample["label"] for sample in samples])
        return cls(inputs.to(where), base.to(where), membership(owner).to(where), labels.to(where))

    def values(
        self, model: Classifier, sample: torch.Tensor, subset: torch.Tensor, dtype: torch.dtype, batch_size: int
    ) -> np.ndarray:
        """v of the masked inputs (sample[k], subset[k]), computed in `dtype`: [K] float64."""
        model = model.to(self.inputs.device, dtype, memory_format=torch.channels_last)
        inputs, base = (x.to(dtype) if x.is_floating_point() else x for x in (self.inputs, self.baseline))
        sample, subset = sample.to(inputs.device), subset.to(inputs.device)
        with exact_float32():
            v = masked_values(model, inputs, base, self.member, self.labels, sample, subset, batch_size)
        return v.cpu().numpy()


def fill(
    store: Store, units: list[Checkpoint], model: Classifier, problem: Problem, options: DictConfig, seed: int
) -> float:
    """Evaluates what is missing, in blocks of samples that are kept as soon as they are there. Returns seconds."""
    samples, subsets = len(problem.labels), 2**options.n
    block_size = math.ceil(options.batch_size / subsets)
    blocks = [range(first, min(first + block_size, samples)) for first in range(0, samples, block_size)]
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
                sample = torch.tensor(block).repeat_interleave(subsets)
                subset = torch.arange(subsets).repeat(len(block))
                v = problem.values(model, sample, subset, DTYPES[options.precision], options.batch_size)
                store.write_part(unit.stage, unit.epoch, block, v.reshape(len(block), subsets))
            bar.update(len(block))
        about = {"stage": unit.stage, "epoch": unit.epoch, "samples": samples, "n": options.n,
                 "precision": options.precision, "batch_size": options.batch_size,
                 "device": str(problem.inputs.device), "files": [str(file) for _, file, _ in unit.parts]}  # fmt: skip
        store.complete(unit.stage, unit.epoch, blocks, about)
    bar.close()
    store.remove_parts(store.folder)  # of a run that was killed between joining and removing them
    return time.monotonic() - started


def _measure_noise(
    store: Store, unit: Checkpoint, model: Classifier, problem: Problem, options: DictConfig, seed: int
) -> None:
    """Evaluates some masked inputs in float64 too."""
    draw = torch.Generator().manual_seed(stream(seed, "noise"))
    sample = torch.randint(len(problem.labels), (options.noise_masks,), generator=draw)
    subset = torch.randint(2**options.n, (options.noise_masks,), generator=draw)
    unit.load_into(model)
    v = problem.values(model, sample, subset, torch.float64, options.batch_size)
    store.write_noise(unit.stage, unit.epoch, sample=sample.numpy(), subset=subset.numpy(), value=v)


def _stored_baseline(path: Path, splits: Splits, kind: str) -> torch.Tensor:
    if not path.exists():
        write_array(path, baseline(splits.train, kind).numpy())
    return torch.from_numpy(np.load(path))
