"""Measures in a few seconds how fast this machine is with a study's model and data.

Each kind of work is repeated, and timed in short windows: the fastest window gives the least time of an input, the
slowest the time while other programs use the machine as well.

On two cores that other programs used too, the prediction for the default study was 47 to 118 s, and it took 57 s; for
the study of phrases it was 74 to 204 s, and it took 120 s. Each stage of both was within its prediction, except one
that took 24 s instead of 25 to 42 s.
"""

import os
import time
from collections.abc import Callable, Collection

import torch
from lightning.pytorch.plugins import Precision
from omegaconf import DictConfig
from torch.nn import functional as F

from data.splits import Splits
from data.stand_in import is_stand_in
from models import batch_size
from models.backbone import Classifier
from models.memory import settled
from stages.need import Rates
from stages.span import Span
from training.classifier import OPTIMIZERS
from training.length import per_device
from training.machine import for_training
from training.tasks import new_model
from training.trainer import make_trainer, quiet_lightning

STAGE = {"source": "pretrain", "target": "finetune"}  # whose batches are measured
SAMPLES = 8  # different inputs
WINDOW, WINDOWS, LONG = 0.05, 10, 0.5  # seconds, how many, and the seconds of a pass that is not made any larger
# Seconds to read an image whose file is not here: measured for pictures of 32 pixels up to photographs of 800.
READING = Span(0.001, 0.01)

Pass = Callable[[], object]


def measured(cfg: DictConfig, task: str, wanted: Collection[str]) -> Rates:
    """Measures, on a few inputs of the task, the kinds of work that are `wanted`: forward, trained, loaded."""
    model, splits = new_model(cfg, STAGE[task], task)
    quiet_lightning()
    trainer = make_trainer(cfg.trainer)
    samples, loaded = _read(splits, cfg.num_workers)
    where, share = trainer.strategy.root_device, 1 / for_training(trainer)
    inputs, labels = (part.to(where) for part in splits.collate(samples))
    precision = trainer.precision_plugin
    model, inputs = precision.convert_module(model.to(where)), precision.convert_input(inputs)
    settled(model, inputs[:1])
    found = {"loaded": loaded}
    if "forward" in wanted:
        most = batch_size.loaded(model, inputs[:1], where)
        found["forward"] = per_input(_evaluation(model, inputs, precision), most, where) * share
    if "trained" in wanted:
        batch, options = per_device(cfg, STAGE[task], trainer), cfg[STAGE[task]]
        found["trained"] = _trained(options, batch, model, inputs, labels, precision) * share
    return Rates(**{kind: found[kind] for kind in wanted})


def per_input(pass_of: Callable[[int], Pass], most: int, where: torch.device) -> Span:
    """Returns seconds per input. pass_of: makes a pass of the given size: `most`, or less if that takes long."""
    size = min(2, most)
    while True:
        work = pass_of(size)
        work()  # the first one takes memory, and chooses kernels
        if size == most or 2 * timed(work, where) > LONG:
            return span(work, where) * (1 / size)
        size = min(2 * size, most)


def span(work: Pass, where: torch.device) -> Span:
    """Returns the seconds of a pass, in the fastest and in the slowest window."""
    work()
    windows = []
    while len(windows) < 2 or (len(windows) < WINDOWS and sum(windows) < WINDOWS * WINDOW):
        windows.append(timed(work, where, WINDOW))
    return Span(min(windows), max(windows))


def timed(work: Pass, where: torch.device, least: float = 0) -> float:
    """Returns the mean seconds of a pass, over as many passes as take `least` seconds."""
    count, started = 0, time.perf_counter()
    while count == 0 or time.perf_counter() - started < least:
        work()
        if where.type != "cpu":
            torch.accelerator.synchronize(where)
        count += 1
    return (time.perf_counter() - started) / count


def _evaluation(model: Classifier, inputs: torch.Tensor, precision: Precision) -> Callable[[int], Pass]:
    def evaluation(size: int) -> Pass:
        given = _some(inputs, size)

        @torch.no_grad()
        def work() -> None:
            with precision.forward_context():
                model.eval()(given)

        return work

    return evaluation


def _trained(
    options: DictConfig, batch: int, model: Classifier, inputs: torch.Tensor, labels: torch.Tensor, precision: Precision
) -> Span:
    """Returns the seconds per input, with its share of the optimiser's step, which takes equally long for any batch
    size."""
    optimizer = OPTIMIZERS[options.optimizer](model.parameters(), lr=1e-9)

    def training(size: int) -> Pass:
        given, true = _some(inputs, size), _some(labels, size)

        def work() -> None:
            optimizer.zero_grad()
            with precision.forward_context():
                loss = F.cross_entropy(model.train()(given), true)
            loss.backward()
            loss.item()  # as training does after every step

        return work

    where = inputs.device
    passes = per_input(training, batch, where)
    return passes + span(optimizer.step, where) * (1 / batch)


def _some(tensor: torch.Tensor, size: int) -> torch.Tensor:
    return tensor[torch.arange(size, device=tensor.device) % len(tensor)]


def _read(splits: Splits, workers: int) -> tuple[list[tuple], Span]:
    """Returns some training samples, and the seconds it takes to read one. With workers, training may not wait for
    them."""
    dataset = splits.training or splits.train
    chosen = [int(index) for index in torch.linspace(0, len(dataset) - 1, min(SAMPLES, len(dataset)))]
    samples, taken = [], []
    for index in chosen:
        started = time.perf_counter()
        samples.append(dataset[index])
        taken.append(time.perf_counter() - started)
    each = Span(min(taken), max(taken[1:], default=taken[0]))  # the first sample may open a file for all of them
    if is_stand_in(dataset):
        each = READING if splits.kind == "image" else Span()
    return samples, each if workers == 0 else Span(0, each.most / min(workers, os.cpu_count() or 1))
