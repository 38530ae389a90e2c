"""How long a training will be, known before it begins: in epochs, the last of which may end early.

`epochs` counts passes over the training set; `iterations` counts steps of the optimiser, and ends the training within
an epoch if it likes. A step takes `trainer.accumulate_grad_batches` batches; those that are left at the end of an epoch
are a step as well. Several devices share the samples of an epoch, each with batches of its own: of `batch_size`, or of
its part of it (`global_batch`).
"""

import math
from dataclasses import dataclass

import lightning
from omegaconf import DictConfig

from conf.errors import BadInput
from training import ranks
from training.trainer import make_trainer


@dataclass(frozen=True)
class Length:
    """passes: number of epochs, 2.5 if the third one ends halfway; samples: those of a whole epoch."""

    passes: float
    samples: int

    @property
    def epochs(self) -> int:
        """The number of epochs that are begun: the last one of them is kept and tested like any other."""
        return math.ceil(self.passes)


def length(cfg: DictConfig, stage: str, samples: int) -> Length:
    """Returns the length of the stage's training on so many samples.

    Raises BadInput for a trainer that can't be made or has not the processes that it needs, an epoch without a batch,
    and epochs that do not go with `iterations`.
    """
    trainer, options = make_trainer(cfg.trainer), cfg[stage]
    ranks.check(trainer)
    devices = trainer.num_devices * trainer.num_nodes if cfg.trainer.get("use_distributed_sampler", True) else 1
    each = per_device(cfg, stage, trainer)
    if cfg.trainer.get("sync_batchnorm") and devices > 1 and trainer.strategy.root_device.type == "cpu":
        raise BadInput("trainer.sync_batchnorm=true needs GPUs: PyTorch does not synchronise batch-norm on CPUs")
    batches = _batches(trainer, math.ceil(math.ceil(samples / devices) / each))
    seen = min(samples, batches * each * devices)
    if options.iterations is None:
        return Length(options.epochs, seen)
    steps = math.ceil(batches / trainer.accumulate_grad_batches)
    found = Length(options.iterations / steps, seen)
    _check_epochs(stage, options, steps, found.epochs, trainer.min_epochs or 0)
    return found


def per_device(cfg: DictConfig, stage: str, trainer: lightning.Trainer) -> int:
    """Returns the batch size of each device. Raises BadInput if devices can't share a batch equally."""
    size, devices = cfg[stage].batch_size, trainer.num_devices * trainer.num_nodes
    if devices == 1 or not cfg.get("global_batch", False):
        return size
    if not cfg.trainer.get("use_distributed_sampler", True):
        raise BadInput(
            "trainer.use_distributed_sampler=false is not allowed with global_batch=true: with it each device takes "
            "whole batches, and the same"
        )
    if size % devices:
        raise BadInput(
            f"{stage}.batch_size={size} can't be shared equally by {devices} devices (global_batch=true): choose a "
            f"multiple of {devices}"
        )
    return size // devices


def step(cfg: DictConfig, stage: str, trainer: lightning.Trainer) -> str:
    """Says how many samples a step of the optimiser takes; returns "" if that is the batch size."""
    each, devices = per_device(cfg, stage, trainer), trainer.num_devices * trainer.num_nodes
    several, accumulated = f"{devices} devices x ", trainer.accumulate_grad_batches
    if devices == accumulated == 1:
        return ""
    together = f" x {accumulated} accumulated batches" * (accumulated > 1)
    return (
        f"{stage}: {several * (devices > 1)}batch size {each}{together} = {devices * each * accumulated} samples per "
        f"step"
    )


def _batches(trainer: lightning.Trainer, there: int) -> int:
    """Returns how many batches of an epoch are taken. Lightning tells 1, one batch, from 1.0, all of them."""
    share = trainer.limit_train_batches
    batches = min(share, there) if isinstance(share, int) else int(share * there)
    if batches < 1:
        raise BadInput(
            f"trainer.limit_train_batches={share} is not allowed: that is less than one of {there} batches; give a "
            f"number of batches, such as 1"
        )
    return batches


def _check_epochs(stage: str, options: DictConfig, steps: int, needed: int, least: int) -> None:
    """needed: epochs in which the iterations are made; least: epochs that trainer.min_epochs demands."""
    asked, each = f"{stage}.iterations={options.iterations}", f"{steps} step{'s' * (steps > 1)}"
    if options.epochs < needed:
        raise BadInput(
            f"{stage}.epochs={options.epochs} is not enough for {asked}: an epoch has {each}, so that {needed} epochs "
            f"are needed; set {stage}.epochs={needed} or more"
        )
    if least > needed:
        raise BadInput(
            f"trainer.min_epochs={least} is not allowed with {asked}, which ends in epoch {needed}: leave one of them "
            f"out"
        )
