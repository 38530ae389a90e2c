"""Reads a study from disk for the measures (analysis/study.py): values, and predictions of the test set."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pandas as pd
from omegaconf import DictConfig, OmegaConf

from analysis.formulas.accuracy import Outcomes, outcomes
from analysis.study import Curves, Options, Source, Study
from checkpoints.roles import start_epoch
from conf.errors import BadInput
from conf.schema import FEATURES, SIMILAR
from data.splits import Splits
from interactions.store import Samples, Store
from representations.kept import Representation, Similarity
from stages.given import weights_of
from stages.identity import Result, task_name
from stages.measures import TRAININGS, measured_on
from stages.reading import parsed
from stages.results import epochs_kept, epochs_of
from stages.table import ROLES, role_of
from stages.view import recorded

METRICS = "metrics.csv"  # of a training
FIRST = 3  # inputs of a split that tell it from another draw


def study_of(cfg: DictConfig, result: Result, splits: Splits) -> Study:
    """Returns the study of the roles that are compared: of each what its analysis reads."""
    drawn = result.inputs.get("interactions/samples")
    samples = Samples(drawn.folder) if drawn else None
    values = {role: result.inputs[name] for role, stage in ROLES.items()
              if (name := f"interactions/{stage}") in result.inputs}  # fmt: skip
    trained = {role: result.inputs[stage].folder for role, stage in ROLES.items() if stage in result.inputs}
    features = {role_of(name): result.inputs[name] for name in FEATURES if name in result.inputs}
    labels = np.asarray(splits.test.labels)
    return Study(
        samples,
        {role: Store(read.folder, samples) for role, read in values.items()},
        {role: epochs_of(read) for role, read in values.items()},
        _options(cfg),
        {role: _outcomes(folder, labels) for role, folder in trained.items()},
        labels,
        {
            role: cfg[stage].schedule
            for role, stage in ROLES.items()
            if stage in result.inputs and "schedule" in cfg[stage]
        },
        {role: Representation(read.folder) for role, read in features.items()},
        np.asarray(splits.train.labels) if features else np.zeros(0, int),
        splits.classes,
        {
            role_of(name): Similarity(read.folder, epochs_of(read))
            for name, read in result.inputs.items()
            if name in SIMILAR
        },
        _source(cfg, result),
        {name: _curves(read.folder) for name, read in result.inputs.items()
         if TRAININGS in measured_on(cfg) and (read.folder / METRICS).exists() and name != "probe"},
    )  # fmt: skip


def _source(cfg: DictConfig, result: Result) -> Source:
    """Returns where the models start from. The user's own weights have an epoch if they are one of a series."""
    if weights_of(cfg) != "pretrain":
        return Source(None if cfg.start.epoch == "last" else cfg.start.epoch)
    if "pretrain" not in result.inputs:
        return Source()
    epoch, folder = start_epoch(cfg, {"pretrain": result.inputs["pretrain"]}), result.inputs["pretrain"].folder
    metrics = parsed(folder / METRICS, pd.read_csv).set_index(["epoch", "split"])["accuracy"]
    predictions = parsed(folder / "predictions.npy", np.load)
    return Source(epoch, float(metrics[epoch, "test"]), predictions.shape[1])


def _curves(folder: Path) -> Curves:
    metrics, losses = parsed(folder / METRICS, pd.read_csv), parsed(folder / "losses.npy", np.load)
    each = (metrics[metrics["split"] == split].set_index("epoch") for split in ("train", "test"))
    return Curves(*(rows[["loss", "accuracy"]].reindex(range(len(losses))).to_numpy() for rows in each), losses.T)


def study_at(run: Path) -> Study:
    """Returns the study of a run's folder, without predictions: what a finished run has compared, last epochs only.

    Raises BadInput, or OSError, if its interactions are not there.
    """
    cfg, found = OmegaConf.load(run / "config.yaml"), recorded(run)
    folders = {name: run / entry["path"] for name, entry in found.items()}
    samples = Samples(folders["interactions/samples"])
    stores = {role: Store(folders[name], samples) for role, stage in ROLES.items()
              if (name := f"interactions/{stage}") in folders}  # fmt: skip
    epochs = {role: epochs_kept(store.folder)[-1:] for role, store in stores.items()}
    if gone := [store.folder for role, store in stores.items() if not epochs[role]]:
        raise BadInput(f"there are no values in {gone[0]}")
    return Study(samples, stores, epochs, _options(cfg))


def similarity_at(run: Path) -> dict[str, Similarity]:
    """Returns what a run's folder shows of the similarity of layers, by role."""
    found = {name: run / entry["path"] for name, entry in recorded(run).items()}
    there = {role_of(name): found[name] for name in SIMILAR if name in found}
    return {role: Similarity(folder, epochs_kept(folder)) for role, folder in there.items()}


def _options(cfg: DictConfig) -> Options:
    keys = ("salient", "tau", "empty_set", "normalise", "permutations", "resamples")
    return Options(**{key: cfg.analysis[key] for key in keys}, seed=cfg.seeds.samples)


def _outcomes(trained: Path, labels: np.ndarray) -> Outcomes:
    predictions, losses = (parsed(trained / f"{name}.npy", np.load) for name in ("predictions", "losses"))
    return outcomes(predictions, losses, labels)


def data_of(cfg: DictConfig, result: Result, splits: Splits) -> str:
    """Returns the target task's name with a digest of its samples: if it is the same for two runs, samples of the same
    number are the same. It leaves out the task's seed, which draws nothing where all samples are taken."""
    of_inputs = (read.settings for name, read in result.inputs.items() if name != "pretrain")
    chosen = ({path: value for path, value in each.items() if path.startswith("data.target")} for each in of_inputs)
    task = next(filter(None, chosen))  # the same in all that have one
    settings = {path: value for path, value in task.items() if path.rpartition(".")[2] != "seed"}
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for split in (splits.test, splits.train):
        digest.update(np.asarray(split.labels, dtype=np.int64).tobytes())
        for at in range(min(FIRST, len(split))):  # another draw may have the same labels
            digest.update(np.asarray(split[at][0]).tobytes())
    return f"{task_name(cfg.data.target)}-{digest.hexdigest()[:12]}"
