"""Reads a study from disk for the measures (analysis/study.py): values, and predictions of the test set."""

import hashlib
import json
from pathlib import Path

import numpy as np
from omegaconf import DictConfig, OmegaConf

from analysis.formulas.accuracy import Outcomes, outcomes
from analysis.study import Options, Study
from conf.errors import BadInput
from data.splits import Splits
from interactions.store import Samples, Store
from stages.identity import Result, task_name
from stages.reading import parsed
from stages.results import epochs_kept, epochs_of
from stages.table import ROLES, roles
from stages.view import recorded


def study_of(cfg: DictConfig, result: Result, splits: Splits) -> Study:
    """Returns the study of the roles that are compared."""
    samples = Samples(result.inputs["interactions/samples"].folder)
    values = {role: result.inputs[f"interactions/{stage}"] for role, stage in ROLES.items() if role in roles(cfg)}
    trained = {role: result.inputs[stage].folder for role, stage in ROLES.items() if stage in result.inputs}
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
    )


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


def _options(cfg: DictConfig) -> Options:
    keys = ("salient", "tau", "empty_set", "normalise", "permutations", "resamples")
    return Options(**{key: cfg.analysis[key] for key in keys}, seed=cfg.seeds.samples)


def _outcomes(trained: Path, labels: np.ndarray) -> Outcomes:
    predictions, losses = (parsed(trained / f"{name}.npy", np.load) for name in ("predictions", "losses"))
    return outcomes(predictions, losses, labels)


def data_of(cfg: DictConfig, result: Result) -> str:
    """Returns the target task's name with a digest of what decides it: if it is the same for two runs, samples of
    the same number are the same."""
    chosen = result.inputs["interactions/samples"].settings
    task = {path: value for path, value in chosen.items() if path.startswith("data.target")}
    return f"{task_name(cfg.data.target)}-{hashlib.sha256(json.dumps(task, sort_keys=True).encode()).hexdigest()[:12]}"
