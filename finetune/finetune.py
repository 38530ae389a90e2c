"""Trains on the target task, from the pre-trained backbone and a new head."""

from omegaconf import DictConfig

from models.weights import load_backbone
from training import checkpoints
from training.folder import stage_folder
from training.train import new_model, train


def check(cfg: DictConfig) -> None:
    new_model(cfg, "finetune", "target")


def run(cfg: DictConfig) -> None:
    model, splits = new_model(cfg, "finetune", "target")
    pretrained = checkpoints.path(stage_folder(cfg, "pretrain"), cfg.pretrain.epochs)
    load_backbone(model, checkpoints.read(pretrained), pretrained)
    train(cfg, "finetune", model, splits)
