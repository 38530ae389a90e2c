"""What the training stages share: what training takes, and the training itself."""

from omegaconf import DictConfig

from checkpoints import disk
from data.module import Batches
from data.splits import Splits
from models import batch_size
from models.backbone import Classifier
from models.memory import settled
from models.weights import size
from stages.need import Need
from training.classifier import LightningClassifier
from training.fit import fit, make_trainer, quiet_lightning
from training.folder import finish, start
from training.seeds import stream
from training.tasks import first_inputs, new_model, tried
from training.tracking import log_checkpoints, tracked


def check(cfg: DictConfig, stage: str, task: str) -> Need:
    """What training takes.

    Raises BadInput for a model, task or trainer that can't be built, or a model that can't take the inputs.
    """
    model, splits = new_model(cfg, stage, task)
    tried(cfg, model, splits, task, training=True)
    quiet_lightning()
    make_trainer(cfg.trainer)
    kept = disk.kept(cfg.checkpoints.epochs, cfg[stage].epochs)
    return Need.of_training(cfg[stage], size(model), len(splits.train), len(splits.test), len(kept))


def run(cfg: DictConfig, stage: str, model: Classifier, splits: Splits) -> None:
    """Trains `model` on `splits` as the stage's part of the configuration says; leaves the stage complete."""
    options = cfg[stage]
    settled(model, first_inputs(splits)[:1])
    folder = start(cfg, stage)
    module = LightningClassifier(model, options, len(splits.test), cfg.seed, stage)
    where = make_trainer(cfg.trainer).strategy.root_device
    at_once = batch_size.loaded(model, splits.collate([splits.test[0]])[0], where)
    data = Batches(splits, options.batch_size, stream(cfg.seed, stage, "order"), cfg.num_workers, at_once)
    kept = disk.kept(cfg.checkpoints.epochs, options.epochs)
    with tracked(cfg, stage) as tracker:
        fit(module, data, folder, options.epochs, kept, cfg.trainer, tracker.log)
        log_checkpoints(tracker, cfg, stage)
    finish(folder)
