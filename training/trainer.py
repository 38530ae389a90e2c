"""Lightning's trainer: the user's options and callbacks beside what this program sets itself."""

import logging
import os
import warnings

import lightning
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.accelerators import CPUAccelerator
from omegaconf import DictConfig, OmegaConf

from conf.errors import BadInput
from models.unreadable import first_line
from training.users_callbacks import users_callbacks

EPOCHS = "pretrain.epochs, finetune.epochs and scratch.epochs say how long a training is"
CLOCK = f"{EPOCHS}, or a Timer with interval: epoch in trainer.callbacks"
WHOLE = "the whole test set is evaluated before the training and after every epoch"
QUIET = "this program shows a bar of its own, and nothing else"
# Options of Lightning's trainer that are set here, or whose change would make the files of a stage wrong.
OURS = {
    "max_epochs": EPOCHS,
    "max_steps": EPOCHS,
    "min_steps": f"{EPOCHS}; with early stopping, trainer.min_epochs is the least",
    "max_time": CLOCK,
    "fast_dev_run": "debug=tiny tries a whole study in little time",
    "overfit_batches": "data.target.train_samples and trainer.limit_train_batches take less of the training set",
    "limit_val_batches": WHOLE,
    "check_val_every_n_epoch": WHOLE,
    "val_check_interval": WHOLE,
    "num_sanity_val_steps": WHOLE,
    "reload_dataloaders_every_n_epochs": "every epoch has batches of its own, the same whenever it is repeated",
    "logger": "wandb.mode says what is tracked, and the callbacks in trainer.callbacks log to the same place",
    "default_root_dir": "output and name say where results lie",
    "enable_checkpointing": "checkpoints.epochs says which epochs are kept",
    "enable_progress_bar": QUIET,
    "enable_model_summary": QUIET,
    "barebones": "it would leave out what this program needs",
    "plugins": "this program writes checkpoints with one of its own; trainer.precision and trainer.strategy are free",
}


def make_trainer(options: DictConfig, **ours: object) -> lightning.Trainer:
    """Lightning's trainer with the user's `options`, their callbacks among them, and with `ours`.

    Raises BadInput if Lightning refuses them, or they do not go with this program.
    """
    given = OmegaConf.to_container(options, resolve=True)
    for key, reason in OURS.items():
        if key in given:
            raise BadInput(f"trainer.{key}={given[key]} is not allowed: {reason}")
    callbacks = users_callbacks(given.pop("callbacks", None), ours.get("default_root_dir"))
    ours["callbacks"] = callbacks + ours.get("callbacks", [])  # ours run after them
    try:
        trainer = lightning.Trainer(
            **given,
            **{"logger": False} | ours,
            num_sanity_val_steps=-1,  # the whole test set before training: that is epoch 0
            reload_dataloaders_every_n_epochs=1,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
    except (TypeError, ValueError, RuntimeError, MisconfigurationException) as error:
        named = [f"trainer.{key}={value}" for key, value in given.items() if key in str(error)]
        raise refused(error, *named) from error
    if isinstance(trainer.accelerator, CPUAccelerator) and trainer.num_devices > os.cpu_count():
        raise BadInput(f"trainer.devices={trainer.num_devices} is more than the {os.cpu_count()} cores of this machine")
    return trainer


def refused(error: Exception, *named: str) -> BadInput:
    """named: the options that it speaks of, if that is known."""
    return BadInput(f"{', '.join(named) or 'trainer'}: Lightning refuses these options: {first_line(error)}")


def quiet_lightning() -> None:
    """Its advice on workers and hardware is not for these runs, and its advertisement for nobody."""
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    logging.getLogger("lightning.fabric").setLevel(logging.ERROR)
    for message in (
        ".*does not have many workers.*",
        ".*smaller than the logging interval.*",
        ".*srun.*",
        ".*LeafSpec.*",
        ".*functional.all_gather is deprecated.*",
        ".*It is recommended to use `self.log.*sync_dist=True.*",  # the values logged are those of all processes
    ):
        warnings.filterwarnings("ignore", message=message)
