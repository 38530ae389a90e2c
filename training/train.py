"""What the training stages share: a new model for a task, and its training."""

from pathlib import Path

import torch
from omegaconf import DictConfig

from data.module import Batches
from data.splits import Splits
from data.splits import build as build_data
from models import batch, outside, trial
from models.backbone import Classifier
from models.backbone import build as build_model
from models.memory import settled
from models.text import TextClassifier
from models.weights import load_backbone, size
from training import checkpoints
from training.classifier import Training
from training.fit import fit, make_trainer, quiet_lightning
from training.folder import finish, stage_folder, start, weights_of
from training.plan import Need
from training.seeds import stream
from training.tracking import log_checkpoints, tracked


def new_model(cfg: DictConfig, stage: str, task: str) -> tuple[Classifier, Splits]:
    """The stage's model with its own random weights, and the task ("source" or "target") it has classes for.

    Raises BadInput if either can't be built.
    """
    splits = build_data(cfg.data[task], f"data.{task}")
    torch.manual_seed(stream(cfg.seed, stage, "weights"))
    model = build_model(cfg.model, len(splits.classes))
    if isinstance(model.backbone, TextClassifier) and splits.kind == "text":
        sentences = [ids for part in (splits.train, splits.test) for ids in getattr(part, "ids", ())]
        longest = max(map(len, sentences), default=0)
        model.backbone.read(splits.pad, max((int(ids.max()) for ids in sentences), default=0), longest)
    return model, splits


def pretrained_model(cfg: DictConfig, stage: str) -> tuple[Classifier, Splits]:
    """The same for the target task, with the pre-trained backbone. Raises BadInput if its weights don't fit."""
    model, splits = new_model(cfg, stage, "target")
    file = pretrained_file(cfg)
    load_backbone(model, checkpoints.read(file), file)
    return model, splits


def pretrained_file(cfg: DictConfig) -> Path:
    epoch = cfg.pretrain.epochs if weights_of(cfg) == "pretrain" else 0
    return checkpoints.path(stage_folder(cfg, "pretrain"), epoch)


def check(cfg: DictConfig, stage: str, task: str) -> Need:
    """What training takes.

    Raises BadInput for a model, task or trainer that can't be built, or a model that can't take the inputs.
    """
    model, splits = new_model(cfg, stage, task)
    tried(cfg, model, splits, task, training=True)
    quiet_lightning()
    make_trainer(cfg.trainer)
    kept = checkpoints.kept(cfg.checkpoints.epochs, cfg[stage].epochs)
    return Need.of_training(cfg[stage], size(model), len(splits.train), len(splits.test), len(kept))


def tried(cfg: DictConfig, model: Classifier, splits: Splits, task: str, training: bool = False) -> torch.Tensor:
    """The task's first inputs [B, ...], on which the model has been tried. Raises BadInput if it can't be served."""
    inputs = first_inputs(splits)
    trial.check(model, inputs, len(splits.classes), f"data.{task}", training)
    outside.check(model, lambda: build_model(cfg.model, len(splits.classes)), inputs)
    return inputs


def first_inputs(splits: Splits) -> torch.Tensor:
    """Two training inputs, if there are so many: [B, ...]."""
    return splits.collate([splits.train[i] for i in range(min(2, len(splits.train)))])[0]


def train(cfg: DictConfig, stage: str, model: Classifier, splits: Splits) -> None:
    """Trains `model` on `splits` as the stage's part of the configuration says; leaves the stage complete."""
    options = cfg[stage]
    settled(model, first_inputs(splits)[:1])
    folder = start(cfg, stage)
    module = Training(model, options, len(splits.test), cfg.seed, stage)
    where = make_trainer(cfg.trainer).strategy.root_device
    at_once = batch.loaded(model, splits.collate([splits.test[0]])[0], where)
    data = Batches(splits, options.batch_size, stream(cfg.seed, stage, "order"), cfg.num_workers, at_once)
    kept = checkpoints.kept(cfg.checkpoints.epochs, options.epochs)
    with tracked(cfg, stage) as tracker:
        fit(module, data, folder, options.epochs, kept, cfg.trainer, tracker.log)
        log_checkpoints(tracker, cfg, stage)
    finish(folder)
