"""Trains on the source task, from random weights. Its folder is shared by all runs with the same source training."""

from omegaconf import DictConfig

from training import train


def check(cfg: DictConfig) -> None:
    train.check(cfg, "pretrain", "source")


def run(cfg: DictConfig) -> None:
    train.train(cfg, "pretrain", *train.new_model(cfg, "pretrain", "source"))
