"""Builds a model for a task, with random weights or the pre-trained backbone, and tries it out."""

import torch
from omegaconf import DictConfig

from checkpoints import disk
from checkpoints.roles import Checkpoint, start_file
from data import intact
from data.splits import Splits
from data.splits import task as task_of
from models import outside, transfer, trial, weights
from models.backbone import Classifier, Probed, probed
from models.backbone import build as build_model
from models.text import TextClassifier
from stages.checked import checked_images
from stages.identity import Results
from training.seeds import seed_of, stream


def new_model(cfg: DictConfig, stage: str, task: str, classes: int = 0) -> tuple[Classifier, Splits]:
    """Returns the stage's model with its own random weights, and the task ("source" or "target") whose classes it has,
    unless `classes` says another number.

    Raises BadInput if either can't be built.
    """
    splits = task_of(cfg, task)
    torch.manual_seed(stream(seed_of(cfg, stage), stage, "weights"))
    model = build_model(cfg.model, classes or len(splits.classes))
    if isinstance(model.backbone, TextClassifier) and splits.kind == "text":
        sentences = [ids for part in (splits.train, splits.test) for ids in getattr(part, "ids", ())]
        longest = max(map(len, sentences), default=0)
        model.backbone.read(splits.pad, max((int(ids.max()) for ids in sentences), default=0), longest)
    return model, splits


def pretrained_model(cfg: DictConfig, results: Results, stage: str) -> tuple[Classifier, Splits]:
    """Returns the same for the target task, with the pre-trained backbone. Raises BadInput if its weights do not
    fit."""
    model, splits = new_model(cfg, stage, "target")
    file = start_file(cfg, results)
    weights.load_backbone(model, disk.read(file), file)
    return model, splits


def pretrained_classifier(cfg: DictConfig, results: Results) -> tuple[Classifier, Splits, bool]:
    """Returns the pre-trained model with the head of its source task if it has one, the target task, and whether it
    has."""
    state = disk.read(file := start_file(cfg, results))
    head = [tensor for name, tensor in state.items() if name.startswith("head.")]
    if not head:
        return *pretrained_model(cfg, results, "probe"), False
    model, splits = new_model(cfg, "probe", "target", classes=len(head[0]))
    weights.load(model, state, file)
    return model, splits, True


def classifier_of(cfg: DictConfig, checkpoint: Checkpoint) -> tuple[Classifier | Probed, Splits]:
    """Returns the model of a checkpoint of the target task, and the task. Raises BadInput if it does not fit."""
    model, splits = new_model(cfg, checkpoint.stage, "target")
    if checkpoint.stage == "probe":
        model = probed(model, first_inputs(splits)[:1])
    checkpoint.load_into(model, checkpoint.read())
    return model, splits


def started_model(cfg: DictConfig, results: Results) -> tuple[Classifier, Splits]:
    """Returns the same for fine-tuning, with as much of the pre-trained backbone as `start.transfer` says, and the
    pre-trained head if `start.head` keeps it."""
    model, splits = new_model(cfg, "finetune", "target")
    file = start_file(cfg, results)
    state = disk.read(file)
    if cfg.start.head == "kept":
        weights.load(model, state, file)
        return model, splits
    given = weights.part(state, "backbone")
    weights.check(model.backbone, given, file)
    seed = stream(seed_of(cfg, "finetune"), "finetune", "transfer")
    model.backbone.load_state_dict(transfer.start(model.backbone, given, cfg.start.transfer, seed))
    return model, splits


def tried(cfg: DictConfig, model: Classifier, splits: Splits, task: str, training: bool = False) -> torch.Tensor:
    """Tries the model on the task's first inputs and returns these, [B, ...].

    Raises BadInput if the model can't be used with the task, or an image of the task can't be read.
    """
    if not (cfg.plan or cfg.data.skip_corrupt):  # a plan must be fast; skip_corrupt has already decoded all images
        intact.check(splits, checked_images(cfg))
    inputs = first_inputs(splits)
    trial.check(model, inputs, len(splits.classes), f"data.{task}", training)
    outside.check(model, lambda: build_model(cfg.model, len(splits.classes)), inputs)
    return inputs


def first_inputs(splits: Splits) -> torch.Tensor:
    """Returns the first two training inputs, or one if the task has only one: [B, ...]."""
    return splits.collate([splits.train[i] for i in range(min(2, len(splits.train)))])[0]
