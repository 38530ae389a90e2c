"""Tables over runs: of each measure one with the mean over the runs of a setting, and one with every run's own rows.

A measure's table is tidy: key columns, then mean, low, high, then reference levels (interactions that share nothing,
and others). That is all that is known of it here, so that a measure of the user's own is summed up like any other.
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
    """over: setting columns, keys, runs, mean, low, high, references; by_run: run, setting columns, seeds, then as in a
    run. Beside these both have the column SETTING, its number. absent: runs that have no such table."""

    name: str
    keys: list[str]
    references: list[str]
    over: pd.DataFrame
    by_run: pd.DataFrame
    absent: list[Run]


SETTING = "#"


def tables(runs: list[Run], settings: Settings) -> dict[str, Table]:
    """Of every measure that has a mean and an interval, by name."""
    names = dict.fromkeys(
        name for run in runs for name, table in run.tables.items() if set(ESTIMATE) <= set(table) and len(table)
    )
    return {name: _table(name, runs, settings) for name in names}


def setting_columns(runs: list[Run], settings: Settings) -> list[str]:
    """What the settings are called in tables: model=conv4 is chosen.model where tables have models of their own, the
    pre-trained one and so on."""
    taken = {column for run in runs for table in run.tables.values() for column in table}
    return [f"chosen.{name}" if name in taken else name for name in settings.columns]


def described(run: Run, runs: list[Run], settings: Settings) -> dict[str, object]:
    """The run's folder, settings and seeds, those that differ among the runs."""
    at = next(at for at, other in enumerate(runs) if other is run)
    columns = zip(setting_columns(runs, settings), settings.of_run[at], strict=True)
    return {"run": str(run.folder), **dict(columns), **{name: run.seeds.get(name) for name in varied(runs)}}


def _table(name: str, runs: list[Run], settings: Settings) -> Table:
    with_it = [run for run in runs if set(ESTIMATE) <= set(run.tables.get(name, ()))]
    keys, _ = _parts(with_it[0].tables[name])
    there = [run for run in with_it if _parts(run.tables[name])[0] == keys]
    references = list(dict.fromkeys(column for run in there for column in _parts(run.tables[name])[1]))
    rows = [_of_run(run, run.tables[name], runs, settings) for run in there]
    by_run = pd.concat(rows, ignore_index=True)
    absent = [run for run in runs if not any(run is other for other in there)]
    over = _over(by_run, [SETTING, *setting_columns(runs, settings), *keys], references)
    return Table(name, keys, references, over, by_run, absent)


def _parts(table: pd.DataFrame) -> tuple[list[str], list[str]]:
    """Key columns, and reference columns."""
    columns = list(table)
    first = columns.index("mean")
    return columns[:first], [
        column for column in columns[first:] if column not in ESTIMATE and is_numeric_dtype(table[column])
    ]


def _of_run(run: Run, table: pd.DataFrame, runs: list[Run], settings: Settings) -> pd.DataFrame:
    at = next(at for at, other in enumerate(runs) if other is run)
    about = {SETTING: settings.each.index(settings.of_run[at]), **described(run, runs, settings)}
    table = table.copy()
    for place, (column, value) in enumerate(about.items()):
        table.insert(place, column, value)
    return table


def _over(by_run: pd.DataFrame, group: list[str], references: list[str]) -> pd.DataFrame:
    """Rows without a number, such as a share of nothing, do not count."""
    known = by_run.replace([np.inf, -np.inf], np.nan)
    grouped = known.groupby(group, sort=False, dropna=False)
    found = grouped["mean"].agg(runs="count", mean="mean", deviation="std")
    found["low"], found["high"] = between(found["mean"], found["deviation"], found["runs"])[1:]
    for reference in references:
        found[reference] = grouped[reference].mean()
    return found.drop(columns="deviation").reset_index()
