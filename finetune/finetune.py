"""Trains on the target task, from the pre-trained backbone and a new head."""

from omegaconf import DictConfig

from training import train
from training.plan import Need


def check(cfg: DictConfig) -> Need:
    return train.check(cfg, "finetune", "target")


def run(cfg: DictConfig) -> None:
    train.train(cfg, "finetune", *train.pretrained_model(cfg, "finetune"))
