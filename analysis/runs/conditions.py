"""The runs as conditions: how similar the layers are, where labels, data set or number of training samples differ.

A condition is what the models are trained on: d of partly random labels, s of shifted ones, the data set, how many
training samples. It is read from a run's settings, not from names. In a condition a cell is a model and what it is
compared with: of every replicate (a combination of seeds) the CKA of each layer at the last epoch, and its excess over
a random move of the weights. Claims are contrasts: weighted sums of cells, of the replicates that have them all.
Replicates that are equal in all of them count as one: seeds that change nothing say nothing.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import pandas as pd

from analysis.runs.found import Run
from analysis.runs.replicates import level_of, varied
from analysis.runs.settings import Settings
from analysis.runs.tables import which_samples

MEASURE, QUANTITY = "cka", "cka"
TRAINING, ACCURACY = "training", "train_accuracy"
PLACE = ["quantity", "model", "against", "layer", "epoch"]
MEAN, EXCESS = "mean", "random_excess"
LOGITS = "logits"
OF_CONDITIONS = ("condition", "data")  # columns of settings; and those that begin with:
OF_TASKS = ("data.labels.", "data.target.")
ALL = float("inf")  # training samples
DIGITS = 9  # equal values may be rounded in another way
Sampled = tuple[bytes | None, np.ndarray]  # which samples (None: not known), and pseudo-values [samples, layers]


@dataclass(frozen=True)
class Condition:
    """What models are trained on. random, shift: d and s of the labels; data: the data set; samples: for training."""

    random: int
    shift: int
    data: str
    samples: float


class Cell(NamedTuple):
    """Models of a condition that are compared: `model` at its last epoch with the one that `against` names."""

    condition: Condition
    model: str
    against: str


class Part(NamedTuple):
    """A term of a contrast: weight times the mean over these layers of a cell."""

    weight: float
    cell: Cell
    layers: Sequence[str]


@dataclass(frozen=True)
class Values:
    """What a contrast is in each replicate. pseudo: of each replicate [samples], empty if it is not known; crossed:
    whether these are of the same samples in all."""

    of: np.ndarray
    pseudo: Sequence[np.ndarray] = ()
    crossed: bool = False


@dataclass(frozen=True)
class Conditions:
    """The runs as conditions. cells: by column (mean, random_excess), cell and replicate [layers]; layers: in their
    order; source: the data set of the pre-training; runs: how many each condition has; level: what seeds differ in;
    lacks: why conditions can't be compared, "" if they can; sampled: by column, cell and replicate; learned: of a
    condition and model the mean accuracy on the training set at the last epoch, as far as it was measured."""

    cells: dict[str, dict[Cell, dict[str, np.ndarray]]]
    layers: list[str] = field(default_factory=list)
    source: str = ""
    runs: dict[Condition, int] = field(default_factory=dict)
    level: str = ""
    lacks: str = ""
    sampled: dict[tuple[str, Cell, str], Sampled] = field(default_factory=dict)
    learned: dict[tuple[Condition, str], float] = field(default_factory=dict)

    @property
    def before(self) -> list[str]:
        """Returns the layers before the logits."""
        return [layer for layer in self.layers if layer != LOGITS]

    @property
    def early(self) -> list[str]:
        return self.before[: len(self.before) // 2]

    @property
    def seeds(self) -> list[str]:
        return list(dict.fromkeys(seed for each in self.cells.get(MEAN, {}).values() for seed in each))

    def has(self, model: str, against: str = "") -> bool:
        return any(cell.model == model and against in ("", cell.against) for cell in self.cells.get(MEAN, {}))

    def known(self, column: str, cells: Iterable[Cell], layers: Sequence[str]) -> list[str]:
        """Returns those of the layers that have a number in each of the cells."""
        every = [self.cells[column].get(cell, {}).values() for cell in cells]
        there = np.all([np.isfinite([*each]).any(0) if each else np.zeros(len(self.layers), bool) for each in every], 0)
        return [layer for layer in layers if there[self.layers.index(layer)]]

    def contrast(self, column: str, parts: Sequence[Part]) -> Values:
        """Returns the weighted sum of the parts in each replicate that has them all."""
        seeds, found = self.together(column, parts)
        weights = np.array([part.weight for part in parts])
        return Values(np.array([weights @ each for each in found]), *self._pseudo(column, parts, seeds))

    def together(self, column: str, parts: Sequence[Part]) -> tuple[list[str], np.ndarray]:
        """Returns the replicates that have a number of all parts, equal ones once, and the parts' own values
        [replicates, parts]."""
        every = [self.cells[column][part.cell] for part in parts]
        places = [self._places(part) for part in parts]
        first = {}
        for seed in [seed for seed in self.seeds if all(seed in each for each in every)]:
            values = [each[seed][at] for each, at in zip(every, places, strict=True)]
            if np.isfinite(np.concatenate(values)).all():
                first.setdefault(tuple(np.round(np.concatenate(values), DIGITS)), (seed, [of.mean() for of in values]))
        return [seed for seed, _ in first.values()], np.array([of for _, of in first.values()]).reshape(-1, len(parts))

    def _places(self, part: Part) -> list[int]:
        return [self.layers.index(layer) for layer in part.layers]

    def _pseudo(self, column: str, parts: Sequence[Part], seeds: list[str]) -> tuple[list[np.ndarray], bool]:
        """Inputs of different data sets are independent, so that any of the one may be added to any of the other."""
        found, sets = [], set()
        for seed in seeds:
            kept = [self.sampled.get((column, part.cell, seed)) for part in parts]
            if any(each is None for each in kept) or len({len(values) for _, values in kept}) > 1:
                return [], False
            of = [part.weight * values[:, self._places(part)].mean(1)
                  for part, (_, values) in zip(parts, kept, strict=True)]  # fmt: skip
            found.append(np.sum(of, axis=0))
            sets.add(tuple(which for which, _ in kept))
        return found, len(sets) == 1 and None not in next(iter(sets))


def conditions(runs: list[Run], settings: Settings) -> Conditions | None:
    """Returns the runs as conditions; None if none has measured the similarity of layers."""
    there = [at for at, run in enumerate(runs) if {*PLACE, MEAN} <= set(run.tables.get(MEASURE, ()))]
    if not there:
        return None
    runs, values = [runs[at] for at in there], [settings.of_run[at] for at in there]
    of = [condition_of(run) for run in runs]
    layers = sorted(dict.fromkeys(layer for run in runs for layer in last_rows(run)["layer"]), key=LOGITS.__eq__)
    if others := _others(of, settings.columns, values):
        why = f"the runs differ in {', '.join(others)} as well: summarise those of one alone"
        return Conditions({}, layers, runs={each: of.count(each) for each in of}, lacks=why)
    groups = {each: [run for run, own in zip(runs, of, strict=True) if own == each] for each in dict.fromkeys(of)}
    names = list(dict.fromkeys(name for group in groups.values() for name in varied(group)))
    seeds = [", ".join(str(run.seeds.get(name)) for name in names) for run in runs]
    rows = pd.concat([last_rows(run).assign(seed=seed, condition=list(groups).index(condition))
                      for run, condition, seed in zip(runs, of, seeds, strict=True)])  # fmt: skip
    most = max(groups.values(), key=len)
    return Conditions(
        {column: _cells(rows, column, list(groups), layers) for column in (MEAN, EXCESS)},
        layers,
        data_set(runs[0], "source"),
        {each: len(group) for each, group in groups.items()},
        level_of(most) if len(most) > 1 else "",
        sampled=dict(each for run, condition, seed in zip(runs, of, seeds, strict=True)
                     for each in _sampled(run, condition, seed, layers)),
        learned=_learned(groups),
    )  # fmt: skip


def condition_of(run: Run) -> Condition:
    random, shift = (int(run.settings.get(f"data.labels.{name}") or 0) for name in ("random", "shift"))
    given = (run.settings.get(f"data.target.{name}") for name in ("train_samples", "files.train"))
    samples = next((float(each) for each in given if isinstance(each, int)), ALL)
    return Condition(random, shift, data_set(run, "target"), samples)


def data_set(run: Run, of: str) -> str:
    """Returns what the source or the target task's samples are read by, such as data.vision.cifar10: the innermost
    `_target_`."""
    keys = [key for key in run.settings if key.startswith(f"data.{of}.") and key.endswith("._target_")]
    known = {key: run.settings[key] for key in keys if run.settings[key]}
    return str(known[max(known, key=lambda key: key.count("."))]) if known else ""


def _others(of: list[Condition], columns: Sequence[str], values: list[tuple]) -> list[str]:
    """Returns in what runs differ beside conditions: settings that are of no task, and those that differ in one
    condition."""
    found = []
    for place, name in enumerate(columns):
        each = [row[place] for row in values]
        inside = {(condition, value) for condition, value in zip(of, each, strict=True)}
        about = name in OF_CONDITIONS or name.startswith(OF_TASKS)
        if len({*each}) > 1 and (not about or len(inside) > len({*of})):
            found.append(name)
    return found


def last_rows(run: Run, *quantities: str) -> pd.DataFrame:
    """Returns the rows of these quantities (CKA) at the last epoch of each model, with their place in the table."""
    rows = run.tables[MEASURE].reset_index(drop=True).rename_axis("place").reset_index()
    rows = rows[rows["quantity"].isin(quantities or [QUANTITY])]
    return rows[rows["epoch"] == rows.groupby("model")["epoch"].transform("max")]


def _learned(groups: dict[Condition, list[Run]]) -> dict[tuple[Condition, str], float]:
    found: dict[tuple[Condition, str], list[float]] = {}
    for condition, runs in groups.items():
        for table in (run.tables[TRAINING] for run in runs if TRAINING in run.tables):
            for model, rows in table[table["quantity"] == ACCURACY].groupby("model"):
                last = rows.loc[rows["epoch"].idxmax(), "mean"]
                found.setdefault((condition, model), []).append(float(last))
    return {key: float(np.mean(each)) for key, each in found.items()}


def _cells(
    rows: pd.DataFrame, column: str, every: list[Condition], layers: list[str]
) -> dict[Cell, dict[str, np.ndarray]]:
    """Returns of each cell and replicate [layers]; of runs that have one place, the first counts."""
    found: dict[Cell, dict[str, np.ndarray]] = {}
    if column in rows:
        rows = rows.drop_duplicates(["condition", "model", "against", "layer", "seed"])
        wide = rows.pivot(index=["condition", "model", "against", "seed"], columns="layer", values=column)
        for (at, model, against, seed), values in zip(wide.index, wide[layers].to_numpy(float), strict=True):
            found.setdefault(Cell(every[at], model, against), {})[seed] = values
    return found


def _sampled(
    run: Run, condition: Condition, seed: str, layers: list[str]
) -> Iterator[tuple[tuple[str, Cell, str], Sampled]]:
    """Yields the pseudo-values that a run has kept of its cells."""
    for column, pseudo in run.pseudo(MEASURE).items():
        if column not in (MEAN, EXCESS) or pseudo.shape[1] != len(run.tables[MEASURE]):
            continue
        for (model, against), rows in last_rows(run).groupby(["model", "against"], sort=False):
            places = rows.set_index("layer")["place"].reindex(layers)
            each = np.where(places.notna(), pseudo[:, places.fillna(0).astype(int)], np.nan)
            yield (column, Cell(condition, model, against), seed), (which_samples(run, MEASURE), each)
