"""Trains on the target task, from random weights."""

from omegaconf import DictConfig

from training.train import new_model, train


def check(cfg: DictConfig) -> None:
    new_model(cfg, "scratch", "target")


def run(cfg: DictConfig) -> None:
    train(cfg, "scratch", *new_model(cfg, "scratch", "target"))
