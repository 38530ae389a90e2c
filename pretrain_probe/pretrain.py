"""Trains on the source task, from random weights. Its folder is shared by all runs with the same source training."""

from omegaconf import DictConfig

from training.train import new_model, train


def check(cfg: DictConfig) -> None:
    new_model(cfg, "pretrain", "source")


def run(cfg: DictConfig) -> None:
    train(cfg, "pretrain", *new_model(cfg, "pretrain", "source"))
