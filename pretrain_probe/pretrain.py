"""Provides the pre-trained weights: trained on the source task, random, or external.

All runs with the same source training, or with the same other weights (stored as epoch 0), share its folder.
"""

import torch
from omegaconf import DictConfig

from checkpoints import disk
from checkpoints.roles import start_within
from conf.errors import BadInput
from conf.sources import no_source
from data.splits import Splits
from data.splits import build as build_data
from models import pretrained
from models.backbone import Classifier, build, check_backbone
from models.weights import size
from stages.given import weights_of
from stages.identity import Result, Results
from stages.need import Need
from stages.results import finish, start
from tracking.tracked import tracked
from training import stage, tasks
from training.length import length
from training.seeds import stream

AS_TAKEN = 2  # classes of the model that given weights are loaded into; only its backbone is kept


def check(cfg: DictConfig, results: Results) -> Need:
    if weights_of(cfg) == "pretrain":
        if cfg.data.source is None:
            raise no_source()
        need = stage.check(cfg, "pretrain", "source")
        model, source = tasks.new_model(cfg, "pretrain", "source")
        start_within(cfg, length(cfg, "pretrain", len(source.train)).epochs)
        _check_target(cfg, model, source)
        return need
    model, _ = tasks.new_model(cfg, "pretrain", "target")
    check_backbone(cfg.model, model, AS_TAKEN)
    if weights_of(cfg) != "scratch":
        pretrained.check(model, weights_of(cfg))
    return Need(disk=size(model.backbone))


def _check_target(cfg: DictConfig, model: Classifier, source: Splits) -> None:
    """Raises BadInput if the target task has another backbone than the source task, before hours of training."""
    try:
        target = build_data(cfg.data.target, "data.target")
    except BadInput:  # reported by the stages that need the task, which may run on another machine
        return
    if len(target.classes) != len(source.classes):
        check_backbone(cfg.model, model, len(target.classes))


def run(cfg: DictConfig, results: Results, name: str) -> None:
    if weights_of(cfg) == "pretrain":
        stage.run(cfg, results[name], *tasks.new_model(cfg, "pretrain", "source"))
    else:
        _take(cfg, results[name])


def _take(cfg: DictConfig, result: Result) -> None:
    """Writes the backbone's weights to the place where the stages expect those of pre-training."""
    weights = weights_of(cfg)
    if weights != "scratch":
        pretrained.located(weights)  # before the model, whose sizes may be in a file next to the weights
    torch.manual_seed(stream(cfg.seeds.pretrain, "pretrain", "weights"))
    model = build(
        cfg.model, num_classes=AS_TAKEN
    )  # the backbone's random weights must not depend on the task's classes
    state, source, unexpected = model.backbone.state_dict(), weights, []
    if weights != "scratch":
        state, source, unexpected = pretrained.backbone(model, weights)
        left_out = f"; not of the backbone: {len(unexpected)} ({', '.join(unexpected[:3])})" if unexpected else ""
        print(f"pretrain: {len(state)} tensors from {source}{left_out}", flush=True)
    folder = start(result)
    with tracked(cfg, result) as tracker:
        disk.write(folder, 0, {f"backbone.{key}": tensor for key, tensor in state.items()})
        tracker.files("checkpoints", folder, disk.FILES)
    finish(result, last=0, weights=weights, source=str(source), not_of_the_backbone=unexpected)
