"""Tables over runs: for each measure, one with the means over the runs of a setting, and one with every run's own rows.

A measure's table is tidy: key columns, then quantities with their intervals and levels (analysis/tables.py). Nothing
else is known of it here, so that a user's own measure is summed up like any other. The interval of a quantity is over
runs and samples (analysis/statistics/between.py); it is that of the run where a setting has only one.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from pandas.api.types import is_numeric_dtype

from analysis.runs.found import Run
from analysis.runs.replicates import varied
from analysis.runs.settings import Settings
from analysis.statistics.between import FEWEST, holm, of_samples, spread
from analysis.tables import EQUAL, INTERVAL, ends, levels_of, quantities_of

SETTING = "#"


@dataclass(frozen=True)
class Table:
    """The tables of one measure. over: setting columns, keys, runs, then the columns of a run's table; by_run: run,
    setting columns, seeds, then these columns. Both also have the column SETTING, the number of the setting.
    references: the levels that are drawn; absent: runs without this table."""

    name: str
    keys: list[str]
    references: list[str]
    over: pd.DataFrame
    by_run: pd.DataFrame
    absent: list[Run]


@dataclass(frozen=True)
class Rows:
    """Rows of one run: its table, the pseudo-values of these rows, and which samples they are of (None: unknown)."""

    table: pd.DataFrame
    pseudo: dict[str, np.ndarray]
    of: bytes | None


def tables(runs: list[Run], settings: Settings) -> dict[str, Table]:
    """Returns the tables of every measure that has a mean and an interval, by name."""
    names = dict.fromkeys(
        name for run in runs for name, table in run.tables.items()
        if name != "claims" and set(INTERVAL) <= set(table) and len(table)
    )  # fmt: skip
    return {name: _table(name, runs, settings) for name in names}


def described(runs: list[Run], settings: Settings) -> list[dict[str, object]]:
    """Returns the folder of each run, with its settings and seeds as far as they differ among the runs."""
    seeds = varied(runs)
    return [
        {
            "run": str(run.folder),
            **dict(zip(settings.headers, values, strict=True)),
            **{name: run.seeds.get(name) for name in seeds},
        }
        for run, values in zip(runs, settings.of_run, strict=True)
    ]


def rows_of(run: Run, name: str) -> Rows:
    """Returns a measure's rows of a run."""
    return Rows(run.tables[name], run.pseudo(name), which_samples(run, name))


def which_samples(run: Run, measure: str) -> bytes | None:
    """Returns what tells the samples of a measure apart from others."""
    kept = run.samples.get(measure, {})
    return str(kept["data"]).encode() + kept["index"].tobytes() if {"data", "index"} <= set(kept) else None


def over_runs(rows: list[Rows], keys: list[str], family: str = "") -> pd.DataFrame:
    """Sums up the rows of the runs of one setting: keys, runs, then the columns of a run's table. Rows without a
    finite number, such as a share of nothing, do not count. family: a key whose rows are tested together, which gives
    <reference>_p, adjusted for their number."""
    every = pd.concat([each.table for each in rows], ignore_index=True)
    found = every[keys].drop_duplicates(ignore_index=True) if keys else pd.DataFrame(index=[0])
    at = [_places(each.table, found, keys) for each in rows]
    columns = [name for name in every if name not in keys and is_numeric_dtype(every[name])]
    values = {name: np.stack([_taken(each.table, name, place) for each, place in zip(rows, at, strict=True)])
              for name in columns}  # fmt: skip
    found["runs"] = np.isfinite(values["mean"]).sum(0)
    sets = _sets(rows)
    for name in columns:
        with np.errstate(invalid="ignore"):
            known = np.where(np.isfinite(values[name]), values[name], np.nan)
        found[name] = [_mean(column) for column in known.T]
    for name in quantities_of(columns):
        found = _with_interval(found, name, rows, at, values, sets, family)
    return found


def _sets(rows: list[Rows]) -> np.ndarray:
    """Returns the number of each run's set of samples. If one is unknown, each run counts as on a set of its own."""
    sets = [each.of for each in rows]
    first = list(range(len(sets))) if None in sets else [sets.index(each) for each in sets]
    return np.array(first)


def _with_interval(
    found: pd.DataFrame, name: str, rows: list[Rows], at: list[np.ndarray], values: dict[str, np.ndarray],
    sets: np.ndarray, family: str,
) -> pd.DataFrame:  # fmt: skip
    theta, (_, low, high) = values[name], ends(name)
    pseudo = [_pseudo(each, name, place) for each, place in zip(rows, at, strict=True)]
    log = _logarithmic(name, rows, at)
    p = np.full(len(found), np.nan)
    for present in {tuple(column) for column in np.isfinite(theta).T}:
        which = np.flatnonzero((present == np.isfinite(theta).T).all(1))
        chosen = np.flatnonzero(present)
        if len(chosen) < FEWEST:  # one run: its own interval
            for end in (low, high):
                found.loc[which, end] = values[end][chosen[0], which] if len(chosen) else np.nan
            continue
        of = [None if pseudo[run] is None else pseudo[run][:, which] for run in chosen]
        scaled = log[which] & (theta[np.ix_(chosen, which)] > 0).all(0)
        found, p[which] = _combined(found, name, theta[np.ix_(chosen, which)], of, scaled, which, sets[chosen])
    if family and name.endswith("_excess") and len(rows) >= FEWEST:
        adjusted, others = np.full(len(found), np.nan), [key for key in _keysbefore(found) if key != family]
        for places in found.groupby(others, sort=False).indices.values() if others else [np.arange(len(found))]:
            adjusted[places] = holm(p[places])
        found.insert(list(found).index(high) + 1, name.replace("_excess", "_p"), adjusted)
    return found


def _combined(
    found: pd.DataFrame, name: str, theta: np.ndarray, pseudo: list[np.ndarray | None], log: np.ndarray,
    which: np.ndarray, sets: np.ndarray,
) -> tuple[pd.DataFrame, np.ndarray]:  # fmt: skip
    """Sets the mean over runs and its interval. Returns p-values of a mean of 0. pseudo, sets: of samples, one for
    each run; if there are several sets, the means over the runs of each set are what varies."""
    with np.errstate(divide="ignore", invalid="ignore"):
        theta = np.where(log, np.log(theta), theta)
        several = len(set(sets)) > 1
        places = (
            [np.flatnonzero(sets == each) for each in np.unique(sets)] if several else np.arange(len(sets))[:, None]
        )
        theta = np.stack([theta[runs].mean(0) for runs in places])
        crossed = None if several else _stacked(pseudo)
        least = 0.0 if crossed is not None else of_samples([_stacked([pseudo[run] for run in runs]) for runs in places])
        of = spread(theta, crossed, least)
    half, (_, low, high) = of.half(), ends(name)
    for column, value in ((name, of.mean), (low, of.mean - half), (high, of.mean + half)):
        with np.errstate(over="ignore"):
            found.loc[which, column] = np.where(log, np.exp(np.where(log, value, 0.0)), value)
    return found, of.p_value() if name.endswith("_excess") else np.full(len(which), np.nan)


def _stacked(pseudo: list[np.ndarray | None]) -> np.ndarray | None:
    """Returns the pseudo-values of runs on the same samples, [runs, samples, rows]; None if a run's are unknown."""
    return None if any(each is None for each in pseudo) else np.stack(pseudo)


def _places(table: pd.DataFrame, found: pd.DataFrame, keys: list[str]) -> np.ndarray:
    """Returns the place of each row of `found` in the table, -1 where it has none."""
    if not keys:
        return np.zeros(len(found), dtype=int)
    place = {tuple(row): at for at, row in enumerate(table[keys].astype(object).to_numpy())}
    return np.array([place.get(tuple(row), -1) for row in found[keys].astype(object).to_numpy()])


def _taken(table: pd.DataFrame, column: str, place: np.ndarray) -> np.ndarray:
    values = table[column].to_numpy(dtype=float) if column in table else np.full(len(table), np.nan)
    return np.where(place >= 0, values[place], np.nan)


def _pseudo(rows: Rows, name: str, place: np.ndarray) -> np.ndarray | None:
    if name not in rows.pseudo or rows.pseudo[name].shape[1] != len(rows.table):
        return None
    return np.where(place >= 0, rows.pseudo[name][:, place], np.nan)


def _logarithmic(name: str, rows: list[Rows], at: list[np.ndarray]) -> np.ndarray:
    """Tells for each row whether its pseudo-values are of the logarithm."""
    found = np.zeros(len(at[0]), dtype=bool)
    for each, place in zip(rows, at, strict=True):
        if "log" in each.pseudo and name.removeprefix(EQUAL) == "mean" and len(each.pseudo["log"]) == len(each.table):
            found |= (place >= 0) & each.pseudo["log"][place]
    return found


def _keysbefore(found: pd.DataFrame) -> list[str]:
    return list(found)[: list(found).index("runs")]


def _mean(column: np.ndarray) -> float:
    known = column[np.isfinite(column)]
    return known.mean() if len(known) else np.nan


def _table(name: str, runs: list[Run], settings: Settings) -> Table:
    keys = next(_keys(run.tables[name]) for run in runs if _has(run, name))
    there = [_has(run, name) and _keys(run.tables[name]) == keys for run in runs]
    about = described(runs, settings)
    by_run, over = [], []
    for run, values, row, is_there in zip(runs, settings.of_run, about, there, strict=True):
        if is_there:
            by_run.append(before(run.tables[name], {SETTING: settings.each.index(values), **row}))
    for number, each in enumerate(settings.each):
        of = [run for run, values, is_there in zip(runs, settings.of_run, there, strict=True)
              if is_there and values == each]  # fmt: skip
        if of:
            family = next((run.about[name].get("family", "") for run in of if name in run.about), "")
            summed = over_runs([rows_of(run, name) for run in of], keys, family if family in keys else "")
            over.append(before(summed, {SETTING: number, **dict(zip(settings.headers, each, strict=True))}))
    over = pd.concat(over, ignore_index=True)
    absent = [run for run, is_there in zip(runs, there, strict=True) if not is_there]
    return Table(name, keys, _references(over, keys), over, pd.concat(by_run, ignore_index=True), absent)


def _references(over: pd.DataFrame, keys: list[str]) -> list[str]:
    return [name for name in levels_of(list(over)) if not name.endswith("_p") and over[name].notna().any()]


def _has(run: Run, name: str) -> bool:
    return set(INTERVAL) <= set(run.tables.get(name, ()))


def _keys(table: pd.DataFrame) -> list[str]:
    return list(table)[: list(table).index("mean")]


def before(table: pd.DataFrame, about: dict[str, object]) -> pd.DataFrame:
    """Returns the table with further columns in front."""
    table = table.copy()
    for place, (column, value) in enumerate(about.items()):
        table.insert(place, column, value)
    return table
