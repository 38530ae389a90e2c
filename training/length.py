"""How long a training will be, known before it begins: in epochs, the last of which may end early.

`epochs` counts passes over the training set; `iterations` counts steps of the optimiser, and ends the training within
an epoch if it likes. A step takes `trainer.accumulate_grad_batches` batches; those that are left at the end of an epoch
are a step as well. Several devices share the samples of an epoch, each with batches of its own.
"""

import math
from dataclasses import dataclass

import lightning
from omegaconf import DictConfig

from conf.errors import BadInput
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

    Raises BadInput for a trainer that can't be made, an epoch without a batch, and epochs that do not go with
    `iterations`.
    """
    trainer, options = make_trainer(cfg.trainer), cfg[stage]
    devices = trainer.num_devices * trainer.num_nodes if cfg.trainer.get("use_distributed_sampler", True) else 1
    batches = _batches(trainer, math.ceil(math.ceil(samples / devices) / options.batch_size))
    seen = min(samples, batches * options.batch_size * devices)
    if options.iterations is None:
        return Length(options.epochs, seen)
    steps = math.ceil(batches / trainer.accumulate_grad_batches)
    found = Length(options.iterations / steps, seen)
    _check_epochs(stage, options, steps, found.epochs, trainer.min_epochs or 0)
    return found


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
