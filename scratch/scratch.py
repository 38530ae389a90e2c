"""Trains on the target task, from random weights."""

import torch
from omegaconf import DictConfig

from data.splits import build as build_data
from models.backbone import build as build_model
from training.seeds import stream
from training.train import train


def run(cfg: DictConfig) -> None:
    splits = build_data(cfg.data.target, "data.target")
    torch.manual_seed(stream(cfg.seed, "scratch", "weights"))
    model = build_model(cfg.model, len(splits.classes))
    train(cfg, "scratch", model, splits)
