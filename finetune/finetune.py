"""Trains on the target task, from the pre-trained backbone and a new head."""

import torch
from omegaconf import DictConfig

from data.splits import build as build_data
from models import weights
from models.backbone import build as build_model
from training import checkpoints
from training.train import train
from training.folder import stage_folder
from training.seeds import stream


def run(cfg: DictConfig) -> None:
    pretrained = checkpoints.path(stage_folder(cfg, "pretrain"), cfg.pretrain.epochs)
    state = checkpoints.read(pretrained)
    splits = build_data(cfg.data.target, "data.target")
    torch.manual_seed(stream(cfg.seed, "finetune", "weights"))
    model = build_model(cfg.model, len(splits.classes))
    weights.load(model.backbone, weights.part(state, "backbone"), pretrained)
    train(cfg, "finetune", model, splits)
