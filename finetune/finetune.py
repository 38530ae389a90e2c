"""Trains on the target task, starting from the pre-trained backbone, or from a part of it, and a new head."""

from omegaconf import DictConfig

from checkpoints.roles import start_epoch
from models import transfer
from stages.identity import Results
from stages.need import Need
from training import stage, tasks


def check(cfg: DictConfig, results: Results) -> Need:
    start_epoch(cfg, results)
    if cfg.start.transfer not in transfer.WORDS:
        transfer.check(tasks.new_model(cfg, "finetune", "target")[0].backbone, cfg.start.transfer)
    return stage.check(cfg, "finetune", "target")


def run(cfg: DictConfig, results: Results, name: str) -> None:
    stage.run(cfg, results[name], *tasks.started_model(cfg, results))
