"""Trains on the target task, from random weights."""

from omegaconf import DictConfig

from stages.need import Need
from training import stage, tasks


def check(cfg: DictConfig) -> Need:
    return stage.check(cfg, "scratch", "target")


def run(cfg: DictConfig) -> None:
    stage.run(cfg, "scratch", *tasks.new_model(cfg, "scratch", "target"))
