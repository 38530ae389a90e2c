"""Makes Lightning's trainer from the user's options and callbacks and what this program sets itself."""

import logging
import os
import warnings

import lightning
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.accelerators import CPUAccelerator
from omegaconf import DictConfig, OmegaConf

from conf.errors import BadInput
from conf.first_line import first_line
from conf.trainer import check_trainer
from training import ranks
from training.users_callbacks import users_callbacks


def make_trainer(options: DictConfig, **ours: object) -> lightning.Trainer:
    """Returns Lightning's trainer with the user's `options`, which include callbacks, and with `ours`.

    Raises BadInput if Lightning refuses them, or this program can't work with them.
    """
    given = OmegaConf.to_container(options, resolve=True)
    check_trainer(given)
    callbacks = users_callbacks(given.pop("callbacks", None), ours.get("default_root_dir"))
    ours["callbacks"] = callbacks + ours.get("callbacks", [])  # ours run after them
    ours["plugins"] = ours.get("plugins", []) + ranks.environment()
    try:
        trainer = lightning.Trainer(
            **given,
            **{"logger": False} | ours,
            num_sanity_val_steps=-1,  # the whole test set before training, which is epoch 0
            reload_dataloaders_every_n_epochs=1,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
    except (TypeError, ValueError, RuntimeError, ImportError, MisconfigurationException) as error:
        named = [
            f"trainer.{key}={value}" for key, value in given.items() if key in str(error) or f" {value} " in str(error)
        ]
        raise refused(error, *named) from error
    if isinstance(trainer.accelerator, CPUAccelerator) and trainer.num_devices > os.cpu_count():
        raise BadInput(f"trainer.devices={trainer.num_devices} is more than the {os.cpu_count()} cores of this machine")
    return trainer


def refused(error: Exception, *named: str) -> BadInput:
    """Returns the error for options that Lightning refuses. named: the options that it speaks of, if they are known."""
    return BadInput(f"{', '.join(named) or 'trainer'}: Lightning refuses these options: {first_line(error)}")


def quiet_lightning() -> None:
    """Silences Lightning's advice on workers and hardware, which does not fit these runs, and its advertisements."""
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
