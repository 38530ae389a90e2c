"""Trains on the target task, from the pre-trained backbone and a new head."""

from omegaconf import DictConfig

from stages.need import Need
from training import stage, tasks


def check(cfg: DictConfig) -> Need:
    return stage.check(cfg, "finetune", "target")


def run(cfg: DictConfig) -> None:
    stage.run(cfg, "finetune", *tasks.pretrained_model(cfg, "finetune"))
