"""Trains on the target task, from random weights."""

from omegaconf import DictConfig

from training import train
from training.plan import Need


def check(cfg: DictConfig) -> Need:
    return train.check(cfg, "scratch", "target")


def run(cfg: DictConfig) -> None:
    train.train(cfg, "scratch", *train.new_model(cfg, "scratch", "target"))
