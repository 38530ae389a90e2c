"""Trains on the source task, from random weights. Its folder is shared by all runs with the same source training."""

import torch
from omegaconf import DictConfig

from data.splits import build as build_data
from models.backbone import build as build_model
from training.seeds import stream
from training.train import train


def run(cfg: DictConfig) -> None:
    splits = build_data(cfg.data.source, "data.source")
    torch.manual_seed(stream(cfg.seed, "pretrain", "weights"))
    model = build_model(cfg.model, len(splits.classes))
    train(cfg, "pretrain", model, splits)
