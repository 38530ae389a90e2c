"""Which epoch of pre-training transfers best? For runs that differ in start.epoch: their quantities as curves over it.

A replicate is a combination of seeds, and has a run of every epoch. What it is measured by are the tables of transfer,
spectrum and logme. A quantity that the seeds do not change (a converged head after other trainings, say) is the same in
all replicates, and equal curves count as one: they say nothing of what other seeds would give.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from analysis.runs.found import SEEDS, Run
from analysis.runs.replicates import level_of, varied
from analysis.runs.settings import Settings
from analysis.runs.tables import which_samples

KEY, EPOCH = "start.epoch", "epoch"
FEWEST = 3  # epochs
DIGITS = 9  # equal values may be rounded in another way
Sampled = tuple[bytes | None, np.ndarray]  # which samples (None: not known), and pseudo-values [samples]
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
    run; level: what seeds differ in; lacks: why there are no curves, "" if there are; sampled: by quantity, of each
    seed and epoch what is known of its samples; highest: of each combination of seeds the highest one that differs
    (analysis/runs/found.py: SEEDS): those with the same one have a draw, or a pre-training, in common."""

    curves: dict[str, pd.DataFrame]
    rows: dict[str, pd.DataFrame]
    places: dict[str, tuple[int, str]]
    level: str = ""
    lacks: str = ""
    sampled: dict[str, dict[tuple[str, int], Sampled]] = field(default_factory=dict)
    highest: dict[str, str] = field(default_factory=dict)

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
        at, _, found = self.stacked([name for name in names if name != EPOCH])
        given, along = iter(found.swapaxes(0, 1)), np.broadcast_to(at.astype(float), (len(found), len(at)))
        return at.astype(float), *(along if name == EPOCH else next(given) for name in names)

    def pseudo(self, *names: str) -> tuple[list[np.ndarray], bool]:
        """Returns of each replicate that `together` returns for these quantities its pseudo-values [quantities, epochs,
        samples], and whether these are of the same samples in all replicates. An empty list if some are not known, or
        if a replicate's epochs are not all of the same samples."""
        at, seeds, _ = self.stacked(names)
        parts = [[self.sampled.get(name, {}).get((seed, epoch)) for name in names for epoch in at] for seed in seeds]
        if any(each is None for of in parts for each in of):
            return [], False
        sets = [{(which, len(values)) for which, values in of} for of in parts]
        if any(len(of) != 1 for of in sets):
            return [], False
        found = [np.stack([values for _, values in of]).reshape(len(names), len(at), -1) for of in parts]
        every = {each for of in sets for each in of}
        return found, len(every) == 1 and every.pop()[0] is not None

    def stacked(self, names: Sequence[str]) -> tuple[np.ndarray, list[str], np.ndarray]:
        """Returns the epochs and seeds of `together`, and these quantities [seeds, quantities, epochs]."""
        tables = [self.curves[name] for name in names]
        epochs = sorted(set.intersection(*(set(table.columns) for table in tables)))
        seeds = list(dict.fromkeys(seed for table in tables for seed in table.index))
        found = np.stack([table.reindex(seeds, columns=epochs).to_numpy(float) for table in tables], axis=1)
        known = np.isfinite(found).all(1)
        usual = known.mean(0) >= 0.5
        whole = np.flatnonzero(known[:, usual].all(1))
        found = found[whole][:, :, usual]
        first = _distinct(found)
        return np.array(epochs, dtype=int)[usual], [seeds[whole[place]] for place in first], found[first]


def _distinct(found: np.ndarray) -> list[int]:
    """Returns the places of the first of equal replicates."""
    first = {tuple(np.round(each, DIGITS).ravel()): at for at, each in reversed(list(enumerate(found)))}
    return sorted(first.values())


def epochs(runs: list[Run], settings: Settings, keys: Mapping[str, list[str]] = KEYS) -> Epochs | None:
    """Returns the runs' curves; None unless they differ in start.epoch and have one of the tables. keys: of each table
    the columns that name its quantities."""
    if KEY not in settings.columns or not any(name in run.tables for run in runs for name in keys):
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
    rows = {name: _rows(runs, name, of, places) for name, of in keys.items()}
    rows = {name: table for name, table in rows.items() if len(table)}
    curves = {quantity: table for name, of in rows.items() for quantity, table in _curves(keys[name], of)}
    if max((_complete(table) for table in curves.values()), default=0) < FEWEST:
        return _none(f"no seed has runs of {FEWEST} epochs")
    same = [run for run in runs if at[str(run.folder)] == next(iter(at.values()))]
    level = level_of(same) if len(same) > 1 else ""
    highest = next((name for name in SEEDS if name in names), names[0] if names else "seed")
    of = {places[str(run.folder)][1]: str(run.seeds.get(highest)) for run in runs}
    return Epochs(curves, rows, places, level, sampled=_sampled(runs, keys, places), highest=of)


def _none(why: str) -> Epochs:
    return Epochs({}, {}, {}, lacks=why)


def _seed(run: Run, names: list[str]) -> str:
    return ", ".join(str(run.seeds.get(name)) for name in names)


def epoch_of(run: Run) -> int | None:
    """Returns the epoch that a run starts from; None for the last one of files that no run of ours made. A last epoch
    may come before pretrain.epochs, as pre-training may end early: the run's own measures say which one it was."""
    if (
        own := next((about["start"] for about in run.about.values() if about.get("start") is not None), None)
    ) is not None:
        return int(own)
    epoch = run.settings.get(KEY)
    if epoch != "last":
        return int(epoch)
    own = run.settings.get("model.weights") in (None, "pretrain")
    return int(run.settings["pretrain.epochs"]) if own and "pretrain.epochs" in run.settings else None


def _rows(runs: list[Run], name: str, keys: list[str], places: dict[str, tuple[int, str]]) -> pd.DataFrame:
    """Returns the rows of a measure of all runs, with epoch, seed and run in front."""
    found = []
    for run in runs:
        if {*keys, "mean", "low", "high"} <= set(run.tables.get(name, ())):
            about = dict(zip((EPOCH, "seed"), places[str(run.folder)], strict=True)) | {"run": str(run.folder)}
            found.append(run.tables[name].assign(**about)[[*about, *run.tables[name]]])
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame()


def _curves(keys: list[str], rows: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """Returns each quantity of a measure with its curves [seeds, epochs], without those that have no number."""
    finite = rows[np.isfinite(rows["mean"])]
    return [
        ("/".join(key), of.pivot_table(index="seed", columns=EPOCH, values="mean", sort=False).sort_index(axis=1))
        for key, of in finite.groupby(keys, sort=False)
    ]


def _sampled(
    runs: list[Run], keys: Mapping[str, list[str]], places: dict[str, tuple[int, str]]
) -> dict[str, dict[tuple[str, int], Sampled]]:
    """Returns each quantity's pseudo-values, as far as runs have kept them."""
    found: dict[str, dict[tuple[str, int], Sampled]] = {}
    for run in runs:
        epoch, seed = places[str(run.folder)]
        for name in [name for name in keys if name in run.tables]:
            named, pseudo = run.tables[name].get(keys[name]), run.pseudo(name).get("mean")
            if named is not None and pseudo is not None and pseudo.shape[1] == len(named):
                for row, each in zip(named.itertuples(index=False), pseudo.T, strict=True):
                    found.setdefault("/".join(row), {})[seed, epoch] = which_samples(run, name), each
    return found


def _complete(table: pd.DataFrame) -> int:
    return int(table.notna().sum(axis=1).max())
