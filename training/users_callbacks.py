"""Builds the user's own callbacks in trainer.callbacks, and refuses unusable ones before any training."""

from pathlib import Path

import lightning
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from lightning.pytorch import callbacks as lightnings

from conf.errors import BadInput
from training.classifier import METRICS

EXAMPLE = "{_target_: lightning.pytorch.callbacks.EarlyStopping, monitor: test/loss}"
# Callbacks of Lightning that do not fit the files that a stage writes.
AGAINST = {
    lightnings.ProgressBar: "this program shows its own progress bar",
    lightnings.BatchSizeFinder: "set finetune.batch_size and the like",
    lightnings.LearningRateFinder: "set finetune.lr and the like",
    lightnings.BackboneFinetuning: "all weights are trained from the first epoch on",
    lightnings.ModelPruning: "it renames weights, and later stages could not read them",
    lightnings.WeightAveraging: "it evaluates other weights than those that are trained and kept",
    lightnings.StochasticWeightAveraging: "it averages weights after the last epoch, when all that is kept is on disk",
}


def users_callbacks(given: object, folder: Path | None) -> list[lightning.Callback]:
    """Returns the callbacks in trainer.callbacks: a list of descriptions, a single one, or a dict of named ones.

    folder: the stage's folder, in which they must not write. Raises BadInput for an object that is not a callback,
    can't be built, or does not fit this program.
    """
    if isinstance(given, dict):
        given = [given] if "_target_" in given else list(given.values())
    if not isinstance(given, list | None):
        raise BadInput(f"trainer.callbacks={given} is not allowed: a list such as [{EXAMPLE}] is expected")
    callbacks = [_built(description) for description in given or []]
    for callback in callbacks:
        _check_goes_with_us(callback, folder)
        _check_monitor(callback, callbacks)
    return callbacks


def _built(description: object) -> lightning.Callback:
    if not isinstance(description, dict) or "_target_" not in description:
        raise BadInput(f"trainer.callbacks: {description} does not describe a callback, as {EXAMPLE} does")
    target = description["_target_"]
    try:
        callback = instantiate(description, _convert_="all")
    except (InstantiationException, SystemExit) as error:
        reason = " ".join(str(error.__cause__ or error).split())  # in one line
        raise BadInput(f"trainer.callbacks: {target} can't be built: {reason}") from error
    if not isinstance(callback, lightning.Callback):
        raise BadInput(f"trainer.callbacks: {target} is not a callback of the package lightning, as {EXAMPLE} is")
    return callback


def _check_goes_with_us(callback: lightning.Callback, folder: Path | None) -> None:
    name = type(callback).__name__
    for kind, reason in AGAINST.items():
        if isinstance(callback, kind):
            raise BadInput(f"trainer.callbacks: {name} is not allowed: {reason}")
    if not isinstance(callback, lightnings.Checkpoint) or not hasattr(callback, "dirpath"):
        return
    # A stage's folder holds its result only; without a dirpath, Lightning would put other files there.
    given = callback.dirpath
    if not given or (folder and Path(given).expanduser().resolve().is_relative_to(folder.resolve())):
        raise BadInput(
            f"trainer.callbacks: {name} with dirpath={given} is not allowed: checkpoints.epochs says which epochs are "
            f"kept with the results; set a dirpath outside of them for more"
        )


def _check_monitor(callback: lightning.Callback, callbacks: list[lightning.Callback]) -> None:
    """Checks that the monitored metric is known, unless a callback of another library may log its own metrics."""
    if not all(type(one).__module__.startswith("lightning.") for one in callbacks):
        return
    monitor = getattr(callback, "monitor", None)
    known = METRICS + (("epoch", "step") if isinstance(callback, lightnings.Checkpoint) else ())
    if monitor is not None and monitor not in known:
        raise BadInput(
            f"trainer.callbacks: {type(callback).__name__} monitors {monitor}, which is not known; "
            f"known: {', '.join(METRICS)}"
        )
