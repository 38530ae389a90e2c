"""Finds which devices of this machine a study uses, and their usual names."""

import torch
from lightning import Trainer
from omegaconf import DictConfig

from models.device import device
from stages.versions import processor
from training.trainer import make_trainer, quiet_lightning


def devices(cfg: DictConfig) -> str:
    """Returns "on cpu (AMD EPYC, 2 threads)", or the devices of training and of interactions if they differ."""
    quiet_lightning()
    trainer, where = make_trainer(cfg.trainer), device(cfg.interactions.device)
    training = _named(trainer.strategy.root_device, for_training(trainer))
    values = _named(where, for_values(cfg.interactions, where))
    return f"on {training}" if training == values else f"training on {training}, interactions on {values}"


def for_training(trainer: Trainer) -> int:
    """Returns how many devices share the training; processes on a CPU share its cores."""
    return trainer.num_devices * trainer.num_nodes if trainer.strategy.root_device.type != "cpu" else 1


def for_values(options: DictConfig, where: torch.device) -> int:
    """Returns how many devices share the masked inputs. options: cfg.interactions."""
    return min(options.processes, torch.cuda.device_count()) if where.type == "cuda" else 1


def _named(where: torch.device, count: int) -> str:
    if where.type == "cpu":
        return f"cpu ({processor()}, {torch.get_num_threads()} threads)"
    name = torch.cuda.get_device_name(where) if where.type == "cuda" else where.type
    return f"{count} x {name}" if count > 1 else name
