"""What the training stages share: a new model for a task, and its training."""

import torch
from omegaconf import DictConfig

from conf.check import BadInput
from data.module import Batches
from data.splits import Splits
from data.splits import build as build_data
from models.backbone import Classifier
from models.backbone import build as build_model
from training import checkpoints
from training.classifier import Training
from training.fit import fit, make_trainer, quiet_lightning
from training.folder import finish, start
from training.seeds import stream
from training.tracking import log_checkpoints, tracked


def new_model(cfg: DictConfig, stage: str, task: str) -> tuple[Classifier, Splits]:
    """The stage's model with its own random weights, and the task ("source" or "target") it has classes for.

    Raises BadInput if either can't be built.
    """
    splits = build_data(cfg.data[task], f"data.{task}")
    torch.manual_seed(stream(cfg.seed, stage, "weights"))
    return build_model(cfg.model, len(splits.classes)), splits


def check(cfg: DictConfig, stage: str, task: str) -> None:
    """Raises BadInput for a model, task or trainer that can't be built, or a model that can't take the inputs."""
    model, splits = new_model(cfg, stage, task)
    inputs = splits.train[0][0][None]
    try:
        with torch.inference_mode():
            model.eval()(inputs)
    except (RuntimeError, AssertionError, TypeError) as error:
        shape = "x".join(map(str, inputs.shape[1:]))
        reason = str(error).splitlines()[0]
        raise BadInput(
            f"model can't take the inputs of data.{task}, {shape} ({reason}): check model.image_size"
        ) from error
    quiet_lightning()
    make_trainer(cfg.trainer)


def train(cfg: DictConfig, stage: str, model: Classifier, splits: Splits) -> None:
    """Trains `model` on `splits` as the stage's part of the configuration says; leaves the stage complete."""
    options = cfg[stage]
    model.to(memory_format=torch.channels_last)  # convolutions are faster so; other layers do not mind
    folder = start(cfg, stage)
    module = Training(model, options, len(splits.test), cfg.seed, stage)
    data = Batches(splits, options.batch_size, stream(cfg.seed, stage, "order"), cfg.num_workers)
    kept = checkpoints.kept(cfg.checkpoints.epochs, options.epochs)
    with tracked(cfg, stage) as tracker:
        fit(module, data, folder, options.epochs, kept, cfg.trainer, tracker.log)
        log_checkpoints(tracker, cfg, stage)
    finish(folder)
