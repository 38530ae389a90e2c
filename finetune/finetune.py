"""Trains on the target task, from the pre-trained backbone, or from a part of it, and a new head or the pre-trained."""

from omegaconf import DictConfig

from checkpoints.roles import start_epoch
from conf.errors import BadInput
from data.splits import task
from models import transfer
from stages.given import weights_of
from stages.identity import Results
from stages.need import Need
from training import stage, tasks


def check(cfg: DictConfig, results: Results) -> Need:
    start_epoch(cfg, results)
    if cfg.start.transfer not in transfer.WORDS:
        transfer.check(tasks.new_model(cfg, "finetune", "target")[0].backbone, cfg.start.transfer)
    if cfg.start.head == "kept":
        _check_head(cfg)
    return stage.check(cfg, "finetune", "target")


def _check_head(cfg: DictConfig) -> None:
    """Raises BadInput if the pre-training has no head, or one for another number of classes."""
    if weights_of(cfg) != "pretrain":
        raise BadInput(
            f"start.head=kept is not allowed with model.weights={cfg.model.weights}, of which only the backbone is "
            f"taken: start.head=new, or train a head, model.weights=pretrain"
        )
    source, target = (len(task(cfg, name).classes) for name in ("source", "target"))
    if source != target:
        raise BadInput(
            f"start.head=kept is not allowed: data.source has {source} classes and data.target {target}; a head is "
            f"kept for as many classes, start.head=new is for others"
        )


def run(cfg: DictConfig, results: Results, name: str) -> None:
    stage.run(cfg, results[name], *tasks.started_model(cfg, results))
