"""Which epoch of pre-training transfers best? For runs that differ in start.epoch: their quantities as curves over it.

A replicate is a combination of seeds, and has a run of every epoch. What it is measured by are the tables of transfer,
spectrum and logme. A quantity that the seeds do not change (a converged head after other trainings, say) is the same in
all replicates, and equal curves count as one: they say nothing of what other seeds would give.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.runs.found import Run
from analysis.runs.replicates import level_of, varied
from analysis.runs.settings import Settings

KEY, EPOCH = "start.epoch", "epoch"
FEWEST = 3  # epochs
DIGITS = 9  # equal values may be rounded in another way
KEYS = {"transfer": ["quantity"], "spectrum": ["model", "quantity", "component"], "logme": ["score"]}
TARGETS = {
    "fe": "FE with a fixed number of steps",
    "fe_converged": "FE with a converged head",
    "ft": "FT",
}


@dataclass(frozen=True)
class Epochs:
    """The runs as curves. curves: by quantity (fe, logme, pretrain/accuracy/main), [seeds, epochs], NaN where a run is
    missing; rows: of each measure its runs' rows, with epoch, seed and run in front; places: epoch and seed of each
    run; level: what seeds differ in; lacks: why there are no curves, "" if there are."""

    curves: dict[str, pd.DataFrame]
    rows: dict[str, pd.DataFrame]
    places: dict[str, tuple[int, str]]
    level: str = ""
    lacks: str = ""

    @property
    def epochs(self) -> list[int]:
        return sorted({epoch for table in self.curves.values() for epoch in table.columns})

    @property
    def seeds(self) -> list[str]:
        return list(dict.fromkeys(seed for table in self.curves.values() for seed in table.index))

    def has(self, *names: str) -> bool:
        return all(name in self.curves or name == EPOCH for name in names)

    def together(self, *names: str) -> tuple[np.ndarray, ...]:
        """Returns the epochs, and these quantities [replicates, epochs] of the epochs that half of the seeds have and
        of the seeds that have all of them; replicates that are equal in all of them once. `epoch` is a quantity."""
        tables = [self.curves[name] for name in names if name != EPOCH]
        epochs = sorted(set.intersection(*(set(table.columns) for table in tables)))
        seeds = list(dict.fromkeys(seed for table in tables for seed in table.index))
        found = np.stack([table.reindex(seeds, columns=epochs).to_numpy(float) for table in tables], axis=1)
        known = np.isfinite(found).all(1)
        usual = known.mean(0) >= 0.5
        found = found[known[:, usual].all(1)][:, :, usual]
        at = np.array(epochs, dtype=float)[usual]
        given = iter(found[_distinct(found)].swapaxes(0, 1))
        along = np.broadcast_to(at, (len(_distinct(found)), len(at)))
        return at, *(along if name == EPOCH else next(given) for name in names)


def _distinct(found: np.ndarray) -> list[int]:
    """Returns the places of the first of equal replicates."""
    first = {tuple(np.round(each, DIGITS).ravel()): at for at, each in reversed(list(enumerate(found)))}
    return sorted(first.values())


def epochs(runs: list[Run], settings: Settings) -> Epochs | None:
    """Returns the runs' curves; None unless they differ in start.epoch and have a table of transfer, spectrum or
    logme."""
    if KEY not in settings.columns or not any(name in run.tables for run in runs for name in KEYS):
        return None
    if others := [name for name in settings.columns if name != KEY]:
        return _none(f"the runs differ in {', '.join(others)} as well: summarise those of one setting alone")
    names = varied(runs)
    at = {str(run.folder): epoch_of(run) for run in runs}
    if None in at.values():
        return _none(f"{KEY}=last is of files whose epochs are not known here: give its number")
    if len(set(at.values())) < FEWEST:
        return _none(f"{FEWEST} epochs or more are needed, the runs start from {len(set(at.values()))}")
    places = {name: (at[name], _seed(run, names)) for name, run in zip(at, runs, strict=True)}
    rows = {name: _rows(runs, name, places) for name in KEYS}
    rows = {name: table for name, table in rows.items() if len(table)}
    curves = {quantity: table for name, of in rows.items() for quantity, table in _curves(name, of)}
    if max((_complete(table) for table in curves.values()), default=0) < FEWEST:
        return _none(f"no seed has runs of {FEWEST} epochs")
    same = [run for run in runs if at[str(run.folder)] == next(iter(at.values()))]
    return Epochs(curves, rows, places, level_of(same) if len(same) > 1 else "")


def _none(why: str) -> Epochs:
    return Epochs({}, {}, {}, lacks=why)


def _seed(run: Run, names: list[str]) -> str:
    return ", ".join(str(run.seeds.get(name)) for name in names)


def epoch_of(run: Run) -> int | None:
    """Returns the epoch that a run starts from; None for the last one of files that no run of ours made."""
    epoch = run.settings.get(KEY)
    if epoch != "last":
        return int(epoch)
    own = run.settings.get("model.weights") in (None, "pretrain")
    return int(run.settings["pretrain.epochs"]) if own and "pretrain.epochs" in run.settings else None


def _rows(runs: list[Run], name: str, places: dict[str, tuple[int, str]]) -> pd.DataFrame:
    """Returns the rows of a measure of all runs, with epoch, seed and run in front."""
    found = []
    for run in runs:
        if {*KEYS[name], "mean", "low", "high"} <= set(run.tables.get(name, ())):
            about = dict(zip((EPOCH, "seed"), places[str(run.folder)], strict=True)) | {"run": str(run.folder)}
            found.append(run.tables[name].assign(**about)[[*about, *run.tables[name]]])
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame()


def _curves(name: str, rows: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """Returns each quantity of a measure with its curves [seeds, epochs], without those that have no number."""
    finite = rows[np.isfinite(rows["mean"])]
    return [
        ("/".join(key), of.pivot_table(index="seed", columns=EPOCH, values="mean", sort=False).sort_index(axis=1))
        for key, of in finite.groupby(KEYS[name], sort=False)
    ]


def _complete(table: pd.DataFrame) -> int:
    return int(table.notna().sum(axis=1).max())
