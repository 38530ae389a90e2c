"""A training stage of the whole network: what pretrain, finetune and scratch do once their model is made."""

from omegaconf import DictConfig

from data.module import Batches
from data.splits import Splits
from models.backbone import Classifier
from training import checkpoints
from training.classifier import Training
from training.fit import fit
from training.folder import finish, start
from training.seeds import stream
from training.tracking import log_checkpoints, tracked


def train(cfg: DictConfig, stage: str, model: Classifier, splits: Splits) -> None:
    """Trains `model` on `splits` as the stage's part of the configuration says; leaves the stage complete."""
    options = cfg[stage]
    folder = start(cfg, stage)
    module = Training(model, options, len(splits.test), cfg.seed, stage)
    data = Batches(splits, options.batch_size, stream(cfg.seed, stage, "order"), cfg.num_workers)
    kept = checkpoints.kept(cfg.checkpoints.epochs, options.epochs)
    with tracked(cfg, stage) as tracker:
        fit(module, data, folder, options.epochs, kept, cfg.trainer, tracker.log)
        log_checkpoints(tracker, cfg, stage)
    finish(folder)
