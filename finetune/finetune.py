"""Trains on the target task, starting from the pre-trained backbone and a new head."""

from omegaconf import DictConfig

from checkpoints.roles import start_epoch
from stages.identity import Results
from stages.need import Need
from training import stage, tasks


def check(cfg: DictConfig, results: Results) -> Need:
    start_epoch(cfg, results)
    return stage.check(cfg, "finetune", "target")


def run(cfg: DictConfig, results: Results, name: str) -> None:
    stage.run(cfg, results[name], *tasks.pretrained_model(cfg, results, "finetune"))
