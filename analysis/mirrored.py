"""What the mirror (tracking/) gets of tables and claims: short keys that are the same in every run.

    jaccard/finetune over epoch            a curve of a table that has an axis; jaccard/finetune/low, .../high, .../sign
    ratio/weighted, ratio/weighted/low     a number of a table without one
    accuracy/gain, accuracy/gain/low       a claim's number; verdict/accuracy/gain: met

A key is the name of the measure and the keys of the row, without the axis and without what repeats the measure's name.
"""

from collections.abc import Iterator, Mapping
from itertools import chain

import pandas as pd

from analysis.kept import Kept
from analysis.tables import compared_with, levels_of
from tracking.tracker import Tracker

AXES = ("epoch", "order")
MOST = 100  # rows of a table without an axis; more are points of a picture, and no numbers to sort runs by
SHORT = {"preserved/share": "preserved_share"}  # what runs are sorted by first; preserved/task is another claim


def log_analysis(tracker: Tracker, kept: Kept, claims: pd.DataFrame, text: str, digests: Mapping[str, str]) -> None:
    """Logs all that an analysis shows. text: its answer; digests: of the measures."""
    tables = {name: pd.read_csv(file) for name in kept.shown if (file := kept.file("tables", name))}
    for name, table in tables.items():
        log_table(tracker, name, table, digests[name])
    tracker.summary(of_claims(claims))
    tracker.text(text)
    tracker.tables(tables | ({"claims": claims} if len(claims) else {}))
    figures = {f"figures/{name}": [(file, None)] for name in kept.shown if (file := kept.file("figures", name))}
    tracker.pictures(figures | {"gallery": [(png, title) for title, png in kept.cards]})
    tracker.files("tables", kept.folder, ("tables/*.csv",))


def log_table(tracker: Tracker, name: str, table: pd.DataFrame, digest: str) -> None:
    """Logs a measure's table as curves, or as numbers if it has no axis. digest: of the measure."""
    axis = axis_of(table)
    if axis:
        tracker.series(name, digest, axis, curves(name, table, axis))
    elif len(table) <= MOST:
        tracker.summary(dict(chain.from_iterable(row.items() for row in _rows(name, table))))


def axis_of(table: pd.DataFrame) -> str:
    """Returns the column along which a table's curves go, or "" if it has none."""
    return next((axis for axis in AXES if axis in keys_of(table)), "")


def keys_of(table: pd.DataFrame) -> list[str]:
    columns = list(table)
    return columns[: columns.index("mean")]


def curves(name: str, table: pd.DataFrame, axis: str) -> Iterator[dict[str, float]]:
    """Yields all numbers at each place along the axis."""
    for place, rows in table.groupby(axis):
        yield {axis: float(place)} | dict(chain.from_iterable(row.items() for row in _rows(name, rows)))


def of_claims(claims: pd.DataFrame) -> dict[str, object]:
    """Returns the numbers and verdicts of claims.csv."""
    found: dict[str, object] = {}
    for row in claims.to_dict("records"):
        key = SHORT.get(row["key"], row["key"])
        found |= _numbers(key, row, compared_with(list(claims)))
        if row["verdict"]:
            found[f"verdict/{key}"] = row["verdict"]
    return found


def _rows(name: str, table: pd.DataFrame) -> Iterator[dict[str, float]]:
    """Yields the numbers of each row. Those without a value, such as the level of a row that has none, are left out."""
    keys, levels = [key for key in keys_of(table) if key not in AXES], levels_of(list(table))
    for row in table.to_dict("records"):
        words = (str(row[key]) for key in keys)
        yield _numbers("/".join([name, *(word for word in words if word != name)]), row, levels)


def _numbers(key: str, row: dict[str, object], levels: list[str]) -> dict[str, float]:
    found = {key: row["mean"], f"{key}/low": row["low"], f"{key}/high": row["high"]}
    found |= {f"{key}/{level}": row[level] for level in levels}
    return {name: float(value) for name, value in found.items() if pd.notna(value)}
