"""Trains on the target task, starting from random weights."""

from omegaconf import DictConfig

from stages.identity import Results
from stages.need import Need
from training import stage, tasks


def check(cfg: DictConfig, results: Results) -> Need:
    return stage.check(cfg, "scratch", "target")


def run(cfg: DictConfig, results: Results, name: str) -> None:
    stage.run(cfg, results[name], *tasks.new_model(cfg, "scratch", "target"))
