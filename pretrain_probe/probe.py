"""Trains a linear classifier on the frozen pre-trained features of the target task: v_pretrain, the paper's Eq. 5.

<probe>/l2.json   with probe.l2=auto: the l2, why it was chosen, the held-out losses of all that were tried
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch
from omegaconf import DictConfig, OmegaConf
from torch import nn
from torch.utils.data import DataLoader, Dataset

from checkpoints import disk
from checkpoints.features import features, folder_of
from checkpoints.roles import start_epoch, start_file
from data.module import Batches
from data.splits import InMemory, Splits
from models import batch_size
from models.backbone import Classifier
from models.device import device
from pretrain_probe import cross_validation
from stages.files import write_text
from stages.identity import Results
from stages.locks import locked
from stages.need import Need
from stages.reading import parsed
from stages.results import finish, start
from stages.span import NO_TIME
from tracking.tracked import tracked
from training.classifier import LightningClassifier
from training.fit import Row, fit
from training.seeds import seed_of, stream
from training.tasks import new_model, pretrained_model, tried

# In a pass of fewer multiplications, threads wait for each other longer than they compute.
SMALL = 10_000_000


def check(cfg: DictConfig, results: Results) -> Need:
    start_epoch(cfg, results)
    model, splits = new_model(cfg, "probe", "target")
    samples = len(splits.train) + len(splits.test)
    width = model.features(tried(cfg, model, splits, "target")).shape[1]
    heads = 8 * (width + 1) * len(splits.classes) * (cfg.probe.epochs + 1)
    choice = (
        cross_validation.seconds(len(splits.train) * width, len(splits.classes)) if _is_auto(cfg.probe) else NO_TIME
    )
    return Need(forward=samples, loaded=samples, disk=4 * samples * width + heads, besides=choice)


def run(cfg: DictConfig, results: Results, name: str) -> None:
    model, splits = pretrained_model(cfg, results, name)
    result, seed = results[name], seed_of(cfg, name)
    folder = start(result)
    with locked(kept := folder_of(result, results["pretrain"], start_file(cfg, results)), minutes=cfg.wait):
        seen = _features_of(model, splits, kept, cfg.num_workers)
    options = with_l2(cfg.probe, seen.train, seed, folder)
    with tracked(cfg, result) as tracker:
        module = train(seen, options, seed, folder, tracker.rows())
        tracker.summary({"l2": options.l2})
        tracker.files("checkpoints", folder, disk.FILES)
    finish(result, last=cfg.probe.epochs, gradient=gradient_norm(module, seen.train))


def with_l2(options: DictConfig, train: InMemory, seed: int, folder: Path) -> DictConfig:
    """Replaces `l2: auto` by the number that cross-validation on the training features chooses, which it prints."""
    if not _is_auto(options):
        return options
    if not (file := folder / "l2.json").exists():
        chosen = cross_validation.choose(train, seed)
        write_text(file, json.dumps(asdict(chosen), indent=1) + "\n")
    found = parsed(file, json.load)
    print(f"probe: l2 = {found['l2']:g}, {found['why']}", flush=True)
    return OmegaConf.merge(options, {"l2": found["l2"]})


def _is_auto(options: DictConfig) -> bool:
    return options.l2 == "auto"


def train(seen: Splits, options: DictConfig, seed: int, folder: Path, track: Callable[[Row], None]) -> "LinearProbe":
    """Trains a probe on features in float64, as `options` (conf/config.yaml: probe) say."""
    torch.manual_seed(stream(seed, "probe", "weights"))
    head = nn.Linear(seen.train.inputs.shape[1], len(seen.classes)).double()
    module = LinearProbe(head, options, len(seen.test), seed)
    batch_size = len(seen.train) if options.solver == "lbfgs" else options.batch_size
    data = Batches(seen, batch_size, stream(seed, "probe", "order"))
    on = OmegaConf.create({"accelerator": "cpu", "devices": 1})  # a linear problem on vectors that fit in memory
    with threads(1 if batch_size * head.weight.numel() < SMALL else torch.get_num_threads()):
        fit(module, data, folder, options.epochs, set(range(options.epochs + 1)), on, track)
    return module


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Lets torch compute with `count` threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _features_of(model: Classifier, splits: Splits, folder: Path, num_workers: int) -> Splits:
    """Returns the task with features instead of inputs, in float64, so that the convex problem converges fully."""
    where = device("auto")

    at_once = batch_size.loaded(model, splits.collate([splits.train[0]])[0], where)

    def frozen(split: str, dataset: Dataset) -> InMemory:
        batches = DataLoader(dataset, at_once, collate_fn=splits.collate, num_workers=num_workers)
        return InMemory(features(model, batches, folder, split, where).double(), np.asarray(dataset.labels))

    return replace(splits, train=frozen("train", splits.train), test=frozen("test", splits.test), training=None,
                   kind="features")  # fmt: skip


class LinearProbe(LightningClassifier):
    """Multinomial logistic regression: mean cross-entropy + l2/2 |W|^2, by L-BFGS on all samples or by SGD."""

    def __init__(self, head: nn.Linear, options: DictConfig, test_samples: int, seed: int) -> None:
        super().__init__(head, options, test_samples, seed, "probe")

    def training_step(self, batch: tuple, index: int) -> torch.Tensor:
        if self.options.solver == "lbfgs":
            self._totals.zero_()  # L-BFGS evaluates the loss many times in a step: only the last one counts
        inputs, labels = batch
        return super().training_step((inputs, labels), index) + 0.5 * self.options.l2 * self.model.weight.square().sum()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        if self.options.solver == "sgd":
            return torch.optim.SGD(self.parameters(), self.options.lr, momentum=0.9)
        return torch.optim.LBFGS(
            self.parameters(),
            max_iter=20,
            history_size=20,
            tolerance_grad=1e-9,
            tolerance_change=1e-15,
            line_search_fn="strong_wolfe",
        )


def gradient_norm(module: LinearProbe, train: InMemory) -> float:
    """Returns the norm of the gradient of the whole objective: 0 where the convex problem is solved."""
    weight, bias = module.model.weight.detach(), module.model.bias.detach()
    probabilities = (train.inputs @ weight.T + bias).softmax(-1)
    probabilities[torch.arange(len(train)), torch.as_tensor(train.labels)] -= 1
    by_weight = probabilities.T @ train.inputs / len(train) + module.options.l2 * weight
    return torch.cat([by_weight.flatten(), probabilities.mean(0)]).norm().item()
