"""Tables over runs: for each measure, one with the means over the runs of a setting, and one with every run's own rows.

A measure's table is tidy: key columns, then mean, low, high, then reference levels (interactions that share nothing,
and others). Nothing else is known of it here, so that a user's own measure is summed up like any other.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from pandas.api.types import is_numeric_dtype

from analysis.runs.found import Run
from analysis.runs.replicates import varied
from analysis.runs.settings import Settings
from analysis.statistics.between import between

ESTIMATE = ["mean", "low", "high"]


@dataclass(frozen=True)
class Table:
    """The tables of one measure. over: setting columns, keys, runs, mean, low, high, references; by_run: run,
    setting columns, seeds, then the columns of a run's table. Both also have the column SETTING, the number of the
    setting. absent: runs without this table."""

    name: str
    keys: list[str]
    references: list[str]
    over: pd.DataFrame
    by_run: pd.DataFrame
    absent: list[Run]


SETTING = "#"


def tables(runs: list[Run], settings: Settings) -> dict[str, Table]:
    """Returns the tables of every measure that has a mean and an interval, by name."""
    names = dict.fromkeys(
        name for run in runs for name, table in run.tables.items()
        if name != "claims" and set(ESTIMATE) <= set(table) and len(table)
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


def _table(name: str, runs: list[Run], settings: Settings) -> Table:
    keys = next(_parts(run.tables[name])[0] for run in runs if _has(run, name))
    there = [_has(run, name) and _parts(run.tables[name])[0] == keys for run in runs]
    about = described(runs, settings)
    rows = [
        _of_run(run.tables[name], {SETTING: settings.each.index(values), **row})
        for run, values, row, is_there in zip(runs, settings.of_run, about, there, strict=True)
        if is_there
    ]
    by_run = pd.concat(rows, ignore_index=True)
    references = list(
        dict.fromkeys(column for run in runs if _has(run, name) for column in _parts(run.tables[name])[1])
    )
    over = _over(by_run, [SETTING, *settings.headers, *keys], references)
    absent = [run for run, is_there in zip(runs, there, strict=True) if not is_there]
    return Table(name, keys, references, over, by_run, absent)


def _has(run: Run, name: str) -> bool:
    return set(ESTIMATE) <= set(run.tables.get(name, ()))


def _parts(table: pd.DataFrame) -> tuple[list[str], list[str]]:
    """Returns the key columns and the reference columns."""
    columns = list(table)
    first = columns.index("mean")
    return columns[:first], [
        column for column in columns[first:] if column not in ESTIMATE and is_numeric_dtype(table[column])
    ]


def _of_run(table: pd.DataFrame, about: dict[str, object]) -> pd.DataFrame:
    table = table.copy()
    for place, (column, value) in enumerate(about.items()):
        table.insert(place, column, value)
    return table


def _over(by_run: pd.DataFrame, group: list[str], references: list[str]) -> pd.DataFrame:
    """Sums up the runs of each setting. Rows without a finite number, such as a share of nothing, do not count."""
    known = by_run.replace([np.inf, -np.inf], np.nan)
    grouped = known.groupby(group, sort=False, dropna=False)
    found = grouped["mean"].agg(runs="count", mean="mean", deviation="std")
    found["low"], found["high"] = between(found["mean"], found["deviation"], found["runs"])[1:]
    for reference in references:
        found[reference] = grouped[reference].mean()
    return found.drop(columns="deviation").reset_index()
