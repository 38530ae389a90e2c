"""A run's folder as a notebook reads it: see `interactions.load`.

    run = interactions.load("outputs/digits/seed=0")
    run.models                                    ("pretrain", "finetune", "scratch")
    run.epochs["finetune"]                        [0, 1, 2, ..., 15]
    run.samples                                   table: index (in its split), label, class
    run.values("finetune", epoch=3)               v [samples, 2**n]: log-odds of the true class of every masked input
    run.interactions("finetune")                  I [samples, 2**n], of the last epoch
    run.names(0)                                  the variables of sample 0: patch (row, column), or words
    run.strongest("finetune", 0)                  table: its strongest interactions, with names
    run.picture(0), run.picture(0, keep=[1, 4])   its image [H, W, 3], or words; masked, but for variables 1 and 4
    run.tables["ratio"], run.report               what the analysis has found

A column of values and interactions is a subset of variables, written as a bitmask: variable i is in the subset s if
bit i of s is set. The columns of {}, {0}, {1}, {0, 1}, {2} are 0, 1, 2, 3, 4.
"""

import os
from collections.abc import Iterable
from functools import cached_property
from numbers import Integral
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pandas as pd
from omegaconf import DictConfig, OmegaConf

from conf.errors import BadInput
from interactions import mobius
from interactions.store import Samples, Store
from interactions.variables.names import members, names_of
from interactions.variables.seen import Seen
from stages.inventory import shown
from stages.reading import parsed
from stages.results import epochs_kept, read_done
from stages.table import ROLES


class Run:
    """Everything of a run's folder. models: the roles that have values: pretrain (the pre-trained model, seen through
    its linear probe), finetune, scratch; epochs: of each model those that have values, in order; digests: of each
    result that the run shows, what tells it from others. Arrays are float64.
    """

    def __init__(self, folder: str | os.PathLike) -> None:
        """Raises BadInput if the folder is no run's, or has no values."""
        self.folder = Path(folder)
        if not (self.folder / "results.json").is_file():
            raise BadInput(f"{folder} is no run's folder, there is no results.json: give one, as in "
                           f"outputs/digits/seed=0")  # fmt: skip
        self.config: DictConfig = parsed(self.folder / "config.yaml", _config)
        listed = shown(self.folder)
        self.digests = {name: result.digest for name, result in listed.items()}
        # Where the folder was copied without those around it, and its links became folders, the results are in it.
        self._folders = {name: result.folder if result.folder.is_dir() else self.folder / name
                         for name, result in listed.items()}  # fmt: skip
        self._store = self._stores()
        self.models = tuple(self._store)
        self.epochs = {model: epochs_kept(store.folder) for model, store in self._store.items()}
        if gone := [model for model in self.models if not self.epochs[model]]:
            raise BadInput(f"there are no values in {self._store[gone[0]].folder}: run the study's command again")

    def _stores(self) -> dict[str, Store]:
        names = {role: f"interactions/{stage}" for role, stage in ROLES.items()}
        there = {role: self._folders[name] for role, name in names.items() if name in self._folders}
        if not there or "interactions/samples" not in self._folders:
            raise BadInput(f"{self.folder} shows no interactions: run the study's command with stages=interactions")
        samples = Samples(self._folders["interactions/samples"])
        self.about = samples.read()
        self.baseline = samples.baseline()
        return {role: Store(folder, samples) for role, folder in there.items()}

    def __repr__(self) -> str:
        epochs = ", ".join(f"{model} (epoch {_span(known)})" for model, known in self.epochs.items())
        return f"<run {self.name}: {epochs}; {len(self.samples)} samples of {self.n} variables, {self.kind}>"

    @property
    def name(self) -> str:
        """The study's name and what tells this run from its other runs, such as digits/seed=0, without the folders
        above."""
        parts = self.folder.absolute().parts
        first = max((at for at, part in enumerate(parts[:-1]) if part == self.config.name), default=len(parts) - 1)
        return "/".join(parts[first:])

    @property
    def n(self) -> int:
        """The number of variables of each sample."""
        return self.about["n"]

    @property
    def kind(self) -> str:
        """What a sample is: image or text."""
        return self.about["kind"]

    @cached_property
    def orders(self) -> np.ndarray:
        """The number of variables in each subset: [2**n]."""
        return mobius.orders(self.n)

    @cached_property
    def samples(self) -> pd.DataFrame:
        """The samples, a row each, in the order of all arrays. index: the sample's number in its split (`run.split`);
        label; class: the label's name."""
        return pd.DataFrame(self.about["samples"])[["index", "label", "class"]].rename_axis("sample")

    @property
    def split(self) -> str:
        """The split of the target task that the samples are from: test or train."""
        return self.about["split"]

    def values(self, model: str, epoch: int | None = None) -> np.ndarray:
        """Returns v, the log-odds of the true class of every masked input: [samples, 2**n]; None: of the last epoch.

        Raises BadInput for an unknown model or epoch, Damaged if the file has changed."""
        if model not in self.models:
            raise BadInput(f"model={model} is not in this run: {', '.join(self.models)} are")
        epoch = self.epochs[model][-1] if epoch is None else epoch
        if epoch not in self.epochs[model]:
            known = ", ".join(map(str, self.epochs[model]))
            raise BadInput(f"epoch={epoch} of {model} has no values: {known} have")
        return self._store[model].values(epoch)

    def interactions(self, model: str, epoch: int | None = None) -> np.ndarray:
        """Returns I, the strength of every subset: [samples, 2**n], as `values`. The options of the analysis (salient,
        normalise) are not applied."""
        return mobius.interactions(self.values(model, epoch))

    def names(self, sample: int) -> list[str]:
        """Returns the names of a sample's n variables: patch (row, column), both from 1, of the grid that the image is
        cut into; or words."""
        return names_of(self._about(sample), self.kind, self.baseline.shape[-2:], self.config.interactions.grid)

    def strongest(self, model: str, sample: int, count: int = 8, epoch: int | None = None) -> pd.DataFrame:
        """Returns the `count` interactions with the largest strength |I(S)| of a sample, strongest first. Columns:
        subset (bitmask), order, variables (names), interaction."""
        names, strength = self.names(sample), self.interactions(model, epoch)[sample]
        subsets = np.argsort(-abs(strength), kind="stable")[:count]
        listed = [", ".join(names[variable] for variable in members(subset)) for subset in subsets.tolist()]
        return pd.DataFrame(
            {"subset": subsets, "order": self.orders[subsets], "variables": listed, "interaction": strength[subsets]}
        )

    def picture(self, sample: int, keep: int | Iterable[int] | None = None) -> np.ndarray | list[str]:
        """Returns a sample's image, [H, W, 3] in 0..1, or its words. keep: variables that are kept (a list of their
        numbers, or a bitmask), while all others are masked, as the models saw it; None: nothing is masked.

        Raises BadInput if the files of the data set are not here; words need none.
        """
        about, subset = self._about(sample), keep if keep is None else self._subset(keep)
        return self._seen.picture(about, subset)

    @cached_property
    def tables(self) -> dict[str, pd.DataFrame]:
        """The tables of the analysis, by the name of their measure, with `claims`. Raises BadInput if there is no
        analysis, or if a table is missing or damaged."""
        folder = self.folder / "analysis"
        done = read_done(folder)
        if done is None:
            raise BadInput(f"{self.folder} has no finished analysis: run the study's command with stages=analysis")
        files = [folder / name for name in done["files"] if name.startswith("tables/") and name.endswith(".csv")]
        return {file.stem: parsed(file, pd.read_csv) for file in sorted(files)}

    @property
    def report(self) -> Path:
        """Where the report is. Raises BadInput if there is none."""
        file = self.folder / "analysis" / "report.html"
        if not file.is_file():
            raise BadInput(f"{self.folder} has no report: run the study's command with stages=analysis")
        return file

    @cached_property
    def _seen(self) -> Seen:
        return Seen(self.config, self.about, self.baseline, self.folder)

    def _subset(self, keep: int | Iterable[int]) -> int:
        """Returns the bitmask of the variables that are kept."""
        if isinstance(keep, Integral):
            good, subset = 0 <= keep < 2**self.n, int(keep)
        else:
            kept = set(map(int, keep))
            good = kept <= set(range(self.n))
            subset = sum(1 << variable for variable in kept) if good else 0
        if not good:
            raise BadInput(f"keep={keep} is not allowed: numbers of variables, 0 to {self.n - 1}, in a list, or a "
                           f"bitmask below {2**self.n} are expected")  # fmt: skip
        return subset

    def _about(self, sample: int) -> dict:
        count = len(self.about["samples"])
        if not -count <= sample < count:
            raise BadInput(f"sample={sample} is not in this run: samples from 0 to {count - 1} are")
        return self.about["samples"][sample]


def _config(file: BinaryIO) -> DictConfig:
    found = OmegaConf.create(file.read().decode())
    if not {"name", "data", "model", "interactions"} <= set(found):
        raise ValueError("it is no configuration")
    return found


def _span(epochs: list[int]) -> str:
    return str(epochs[0]) if len(epochs) == 1 else f"{epochs[0]} to {epochs[-1]}"
