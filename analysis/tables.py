"""The form of a measure's table, so that it can be read, drawn, and set beside those of other runs.

A measure gives key columns and a column of estimates (analysis/statistics/estimate.py). On disk each estimate is

    model,epoch,mean,low,high,sign,sign_excess,sign_low,sign_high,...,equal_mean,equal_low,equal_high,...
    finetune,0,0.19,0.16,0.22,0.16,0.03,0.01,0.05

keys; the quantity and its interval; each reference level, and how far the quantity lies above it; then the same where
both models have the same strength. Every other column is a further level, such as `chance`.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from pandas.api.types import is_numeric_dtype

from analysis.statistics.estimate import Estimate, Interval

INTERVAL = ["mean", "low", "high"]
BEYOND = ("excess", "low", "high")
ESTIMATE, EQUAL = "estimate", "equal_"
REFERENCES = (
    "placement",
    "sign",
    "task",
    "class",
    "other",
    "ceiling",
    "shuffled",
    "random",
)  # in the order of the columns
MANY, GROUPS = 1000, 200
TAKEN = ("run", "runs", "study", "repeat", "#")  # columns of tables over runs


def expanded(table: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    """Returns the table with numbers in place of the estimates, and the pseudo-values of its rows: by the name of the
    column [samples, rows], and `log` [rows]: whether those of `mean` are of the logarithm."""
    if ESTIMATE not in table:
        return table, {}
    each = [{name: interval for name, interval in _intervals(estimate)} for estimate in table[ESTIMATE]]
    levels = [dict(_levels(estimate)) for estimate in table[ESTIMATE]]
    columns, pseudo = {}, {}
    for name in sorted(dict.fromkeys(name for row in each for name in row), key=_place):
        known = [row.get(name) for row in each]
        if level := name.removesuffix("_excess") if name.endswith("_excess") else "":
            columns[level] = [row.get(level, np.nan) for row in levels]
        for column, part in zip(ends(name), range(3), strict=True):
            columns[column] = [float(interval[part]) if interval else np.nan for interval in known]
        pseudo[name] = _stacked(known)
    pseudo["log"] = np.array([row["mean"].log for row in each], dtype=bool)
    first = list(table.columns).index(ESTIMATE)
    found = pd.concat([table.iloc[:, :first], pd.DataFrame(columns, table.index), table.iloc[:, first + 1 :]], axis=1)
    return found, pseudo


def ends(name: str) -> tuple[str, str, str]:
    """Returns the columns of a quantity and its interval: mean -> mean, low, high; sign_excess -> sign_excess,
    sign_low, sign_high; equal_mean -> equal_mean, equal_low, equal_high."""
    stem = name.removesuffix("mean").removesuffix("excess")
    return name, f"{stem}low", f"{stem}high"


def levels_of(columns: list[str]) -> list[str]:
    """Returns the reference levels among the columns of a table, without those at equal strengths."""
    after = columns[columns.index("high") + 1 :] if "high" in columns else []
    derived = {f"{name}_{part}" for name in after for part in BEYOND}
    return [name for name in after if name not in derived and not name.startswith(EQUAL)]


def compared_with(columns: list[str]) -> list[str]:
    """Returns the references whose excess is among the columns of a table or of claims."""
    names = [name.removesuffix("_excess") for name in columns if name.endswith("_excess")]
    return [name for name in names if not name.startswith(EQUAL)]


def quantities_of(columns: list[str]) -> list[str]:
    """Returns the columns that have an interval: mean, each excess, and both at equal strengths."""
    return [name for name in columns if name.endswith(("mean", "_excess")) and set(ends(name)) <= set(columns)]


def _intervals(estimate: Estimate, prefix: str = "") -> Iterator[tuple[str, Interval]]:
    yield f"{prefix}mean", estimate.own
    for reference, interval in estimate.excess.items():
        yield f"{prefix}{reference}_excess", interval
    if estimate.equal:
        yield from _intervals(estimate.equal, EQUAL)


def _levels(estimate: Estimate, prefix: str = "") -> Iterator[tuple[str, float]]:
    yield from ((f"{prefix}{reference}", float(level)) for reference, level in estimate.levels.items())
    if estimate.equal:
        yield from _levels(estimate.equal, EQUAL)


def _place(name: str) -> tuple[bool, int]:
    reference = name.removeprefix(EQUAL).removesuffix("_excess")
    known = REFERENCES.index(reference) + 1 if reference in REFERENCES else len(REFERENCES) + 1
    return name.startswith(EQUAL), 0 if reference == "mean" else known


def _stacked(known: list[Interval | None]) -> np.ndarray:
    """Returns pseudo-values [samples, rows], NaN where a row has none. Those of many samples, as of a test set, are
    put together in groups that are drawn at random, and which serve as samples just as well: [GROUPS, rows]."""
    shape = next(np.shape(interval.pseudo) for interval in known if interval)
    parts = [interval.pseudo if interval else np.full(shape, np.nan) for interval in known]
    together = np.stack(parts, axis=1)
    if len(together) <= MANY:
        return together
    places = np.array_split(np.random.default_rng(0).permutation(len(together)), GROUPS)
    return np.stack([together[group].mean(0) for group in places])


def unusable(table: pd.DataFrame) -> str:
    """Says why a table is not usable; returns "" if it has keys, then mean, low, high, then reference levels."""
    columns = list(map(str, table.columns))
    first = columns.index("mean") if "mean" in columns else 0
    if columns[first : first + 3] != INTERVAL or len(set(columns)) < len(columns):
        return (
            f"it has the columns {', '.join(columns)}: keys, then estimate (or mean, low, high), then reference levels "
            f"are expected, each once"
        )
    if taken := [name for name in columns if name in TAKEN or name.startswith("seed")]:
        return f"{taken[0]} is not allowed as a column: tables over runs have one of that name"
    if words := [name for name in columns[first:] if not is_numeric_dtype(table[name])]:
        return f"the column {words[0]} has to be numbers"
    if first and table.duplicated(columns[:first]).any():
        return f"two rows have the same {', '.join(columns[:first])}"
    return "" if first or len(table) < 2 else "it has several rows and no key column, such as model"
