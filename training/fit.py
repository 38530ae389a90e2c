"""Trains a model with Lightning, epoch by epoch on disk, resumable at any moment.

<stage>/metrics.csv          epoch, split, loss, accuracy
<stage>/predictions.npy      int32 [epochs + 1, test samples], predicted classes
<stage>/losses.npy           float32 [epochs + 1, test samples], cross-entropies
<stage>/checkpoints/         weights of every epoch; last.ckpt, with the optimiser, during the training
"""

from collections.abc import Callable
from pathlib import Path

import lightning
import numpy as np
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from omegaconf import DictConfig

from checkpoints import disk
from conf.errors import BadInput
from models import weights
from stages.files import remove
from stages.processes import is_first_process
from stages.reading import Damaged
from training import processes
from training.callbacks import EveryEpoch, Iterations, Progress, check_safe
from training.classifier import LightningClassifier
from training.mirror import Mirror, Row
from training.trainer import make_trainer, quiet_lightning, refused


def fit(
    module: LightningClassifier,
    data: lightning.LightningDataModule,
    folder: Path,
    epochs: int,
    kept: set[int],
    trainer_options: DictConfig,
    track: Callable[[Row], None],
    iterations: int | None = None,
) -> int:
    """Trains for `epochs`, for fewer if `iterations` steps end sooner, or until a callback stops it; continues an
    interrupted training if `folder` holds one.

    Returns the number of epochs trained; the weights of the last one are on disk, whatever `kept` is. Raises BadInput
    if the training is impossible, can't continue, or its result can't be used.
    """
    quiet_lightning()
    last, mirror = folder / "checkpoints" / "last.ckpt", Mirror(track)
    trainer = mirror.trainer = make_trainer(
        trainer_options,
        max_epochs=epochs,
        callbacks=[Iterations(iterations), EveryEpoch(folder, kept, last, mirror), Progress(module.stage, iterations)],
        plugins=[disk.AtomicCheckpointIO()],
        default_root_dir=folder,
        logger=mirror,
    )
    if is_first_process():  # of versions in which Lightning itself answered time limits, and would now take it up
        for left in folder.glob("hpc_ckpt_*.ckpt"):
            remove(left)
    processes.speak_for_all(trainer, module.stage)
    _run(trainer, module, data, last if _goes_on(last, folder, kept, module.stage) else None)
    trainer.strategy.barrier()
    trained = _trained(folder)
    _check_last_weights(module, disk.path(folder, trained), trained)
    if trainer.is_global_zero:
        remove(last)
    trainer.strategy.barrier()
    return trained


def _run(
    trainer: lightning.Trainer, module: LightningClassifier, data: lightning.LightningDataModule, resume: Path | None
) -> None:
    try:
        trainer.fit(module, data, ckpt_path=resume, weights_only=True)
    except (MisconfigurationException, ModuleNotFoundError, RuntimeError) as error:
        # Only one RuntimeError, that of EarlyStopping, is caused by the user's options.
        if isinstance(error, RuntimeError) and "conditioned on metric" not in str(error):
            raise
        raise refused(error) from error


def _goes_on(last: Path, folder: Path, kept: set[int], stage: str) -> bool:
    """Returns whether the training continues from `last`. It starts again if past epochs that are now asked for were
    not kept.

    Raises BadInput if `last` is damaged, or can only be read at the risk of running code.
    """
    if not last.exists():
        return False
    past = _past(last, stage)
    missing = [epoch for epoch in sorted(kept) if epoch < past and not disk.path(folder, epoch).exists()]
    if missing:
        which = f"epochs {', '.join(map(str, missing))} were" if len(missing) > 1 else f"epoch {missing[0]} was"
        print(f"{stage}: trained again from the beginning, since {which} not kept", flush=True)
    return not missing


def _past(last: Path, stage: str) -> int:
    """Returns how many epochs have been evaluated, epoch 0 before training included."""
    try:
        check_safe(last, stage)
        state = torch.load(last, map_location="cpu", mmap=True, weights_only=True)
        return len(state["callbacks"][EveryEpoch.__name__]["rows"])
    except BadInput:
        raise
    except Exception as error:  # torch raises many kinds
        raise Damaged.of(last, f"{stage} can't continue from it") from error


def _trained(folder: Path) -> int:
    """Returns the number of epochs on disk: with some strategies, this process has not trained them itself."""
    file = folder / "losses.npy"
    return len(np.load(file, mmap_mode="r")) - 1 if file.exists() else 0


def _check_last_weights(module: LightningClassifier, file: Path, epoch: int) -> None:
    """Raises BadInput if nothing was trained, or the trained weights are not finite or belong to another model."""
    stage = module.stage
    if epoch == 0 or not file.exists():
        raise BadInput(
            f"{stage}: the training ended after {epoch} epochs and left no weights of the last one: check the options "
            f"and callbacks of trainer, such as trainer.limit_train_batches"
        )
    state = disk.read(file)
    bad = [key for key, tensor in state.items() if not torch.isfinite(tensor).all()]
    if bad:
        raise BadInput(
            f"{stage}: the weights after epoch {epoch} hold NaN or infinity ({bad[0]}): lower {stage}.lr, or train "
            f"with trainer.precision=32-true"
        )
    weights.check(module.model, state, file)
