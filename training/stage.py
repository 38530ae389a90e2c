"""The common parts of the training stages: the estimate of what training takes, and the training itself."""

from omegaconf import DictConfig

from checkpoints import disk
from data.module import Batches
from data.splits import Splits
from models import batch_size
from models.backbone import Classifier
from models.memory import settled
from models.weights import size
from stages.identity import Result
from stages.memory import check_memory
from stages.need import Need
from stages.results import epochs_kept, finish, kept, start
from tracking.tracked import tracked
from training.classifier import LightningClassifier
from training.fit import fit, make_trainer, quiet_lightning
from training.length import length, per_device, step
from training.seeds import seed_of, stream
from training.tasks import first_inputs, new_model, tried


def check(cfg: DictConfig, stage: str, task: str) -> Need:
    """Returns what training takes.

    Raises BadInput for a model, task or trainer that can't be built, a model that can't take the inputs, batches that
    do not fit in memory, or too few epochs.
    """
    model, splits = new_model(cfg, stage, task)
    tried(cfg, model, splits, task, training=True)
    quiet_lightning()
    whole = length(cfg, stage, len(splits.train))
    batch = min(per_device(cfg, stage, make_trainer(cfg.trainer)), len(splits.train))
    check_memory(
        2 * batch * splits.train[0][0].nbytes, f"{stage}.batch_size={cfg[stage].batch_size}", "choose a smaller batch"
    )
    count = len(kept(cfg.checkpoints.epochs, whole.epochs))
    return Need.of_training(cfg[stage], size(model), whole.samples, len(splits.test), count, task, whole.passes)


def run(cfg: DictConfig, result: Result, model: Classifier, splits: Splits) -> None:
    """Trains `model` on `splits` as the stage's part of the configuration says, and completes the result."""
    stage, options = result.name, cfg[result.name]
    settled(model, first_inputs(splits)[:1])
    planned = length(cfg, stage, len(splits.train)).epochs
    folder, seed = start(result), seed_of(cfg, stage)
    module = LightningClassifier(model, options, len(splits.test), seed, stage)
    trainer = make_trainer(cfg.trainer)
    at_once = batch_size.loaded(model, splits.collate([splits.test[0]])[0], trainer.strategy.root_device)
    each = per_device(cfg, stage, trainer)
    data = Batches(splits, each, stream(seed, stage, "order"), cfg.num_workers, at_once, cfg.global_batch)
    if said := step(cfg, stage, trainer):
        print(said, flush=True)
    # Epochs that are on disk stay there: an earlier run asked for them.
    wanted = kept(result.asked, options.epochs) | set(epochs_kept(folder))
    with tracked(cfg, result) as tracker:
        last = fit(module, data, folder, options.epochs, wanted, cfg.trainer, tracker.rows(), options.iterations)
        tracker.files("checkpoints", folder, disk.FILES)
    if last < planned:
        print(f"{stage}: stopped after {last} of {planned} epochs", flush=True)
    finish(result, last=last)
