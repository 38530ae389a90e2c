"""Trains on the target task, from the pre-trained backbone and a new head."""

from omegaconf import DictConfig

from models.weights import load_backbone
from training import checkpoints, train
from training.folder import stage_folder


def check(cfg: DictConfig) -> None:
    train.check(cfg, "finetune", "target")


def run(cfg: DictConfig) -> None:
    model, splits = train.new_model(cfg, "finetune", "target")
    pretrained = checkpoints.path(stage_folder(cfg, "pretrain"), cfg.pretrain.epochs)
    load_backbone(model, checkpoints.read(pretrained), pretrained)
    train.train(cfg, "finetune", model, splits)
