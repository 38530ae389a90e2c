"""Makes of a measure's table what the report's script draws: a chart that shows the values of a point under the mouse.

Of a table nothing is known but its form (analysis/tables.py): key columns, then mean, low, high, then reference levels.
So a user's own measure has its chart like any other. One key is the axis, one tells lines apart, and the others are
chosen by the reader. A table that can't be drawn like this has no chart: the report shows its picture alone.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from pandas.api.types import is_bool_dtype, is_numeric_dtype

from analysis.drawing.gallery import NEGATIVE, POSITIVE
from analysis.drawing.references import levels, style, words
from analysis.drawing.style import COLOURS, NAMES
from analysis.tables import INTERVAL

AXES = ("epoch", "order")  # preferred, in this order
UNLIKE = "quantity"  # its values may have different units, so they should not share an axis
RUNS = "runs"  # how many runs a row is of, in tables over runs
MOST_ROWS, MOST_LINES, MOST_PLACES, LONGEST = 20_000, 12, 60, 60  # rows, lines, words along an axis, letters of a word
FURTHER = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8B5FBF", "#7A6A00")  # of other lines
ON_DARK = {"pretrain": "#D4D4D8", "reference": "#A3A3AB"}  # those that can't be seen on a dark page
DIGITS = 6
PARTS = ("preserved", "discarded", "new")


def colours() -> dict[str, dict[str, str]]:
    """Returns the colours of the report's style sheet, by their names: on a light page, and those that differ on a
    dark one."""
    others = {str(at): colour for at, colour in enumerate(FURTHER)}
    return {"light": COLOURS | others | {"for": POSITIVE, "against": NEGATIVE}, "dark": ON_DARK}


def chart(table: pd.DataFrame, title: str = "", labels: Mapping[str, str] | None = None) -> dict | None:
    """Returns what the script draws, or None if the table has another form. title: what is measured; labels: words for
    names and values of keys, and for references.

    rows: of each row the places of its keys' values, then mean, low, high, then the levels (None where there is none).
    """
    if not _can_be_drawn(table):
        return None
    before = list(table.columns[: list(table.columns).index("mean")])
    keys = [_key(table[name], labels or {}) for name in before if name != RUNS]
    axis = _axis(keys)
    if axis is None:
        return None
    line = _line([key for key in keys if key is not axis])
    among = [name for name in levels(table) if not name.endswith("_p")]
    numbers = [*INTERVAL, *among, *([RUNS] if RUNS in table else [])]
    rows = [[*map(_number, row)] for row in table[numbers].astype(float).to_numpy()]
    return {
        "title": title,
        "keys": [{name: part for name, part in key.items() if name != "at"} for key in keys],
        "axis": keys.index(axis),
        "line": keys.index(line) if line else None,
        "most": MOST_LINES,
        "rows": [[*at, *row] for at, row in zip(zip(*(key["at"] for key in keys), strict=True), rows, strict=True)],
        "levels": [_level(name, among, labels) for name in among],
        "runs": RUNS in table,
        "parts": _has_parts(keys),
    }


def _can_be_drawn(table: pd.DataFrame) -> bool:
    names = list(table.columns)
    first = names.index("mean") if "mean" in names else 0
    numbers = first > 0 and names[first : first + 3] == INTERVAL and 1 < len(table) <= MOST_ROWS
    return numbers and all(is_numeric_dtype(table[name]) for name in names[first:])


def _key(column: pd.Series, labels: Mapping[str, str]) -> dict:
    """Returns a key: its name in words; its values in words, the name of each one's colour, and the values if
    they are numbers; at: [rows], the place of each row's value."""
    name = str(column.name)
    is_number = is_numeric_dtype(column) and not is_bool_dtype(column)
    at, values = pd.factorize(column, sort=is_number, use_na_sentinel=False)
    named = [_words(value, NAMES | dict(labels)) for value in values]
    return {
        "name": name,
        "words": _words(name, labels),
        "values": named,
        "numbers": [float(value) for value in values] if is_number and not column.isna().any() else None,
        "colours": [
            str(value) if value in COLOURS else str(place % len(FURTHER)) for place, value in enumerate(values)
        ],
        "at": at.tolist(),
    }


def _words(value: object, other: Mapping[str, str]) -> str:
    if isinstance(value, str):
        return " ".join(other.get(value, value.replace("_", " ")).split())
    return "–" if pd.isna(value) else f"{value:g}" if isinstance(value, float) else str(value)


def _axis(keys: list[dict]) -> dict | None:
    """Returns the key along which the chart goes: numbers if there are any, else the last words with several values."""
    several = [key for key in keys if len(key["values"]) > 1]
    known = sorted((key for key in several if key["name"] in AXES), key=lambda key: AXES.index(key["name"]))
    numbers = [key for key in several if key["numbers"]]
    named = [key for key in several if len(key["values"]) <= MOST_PLACES and max(map(len, key["values"])) <= LONGEST]
    found = [*known, *numbers, *[key for key in named[::-1] if not key["numbers"]]]
    return found[0] if found else None


def _line(keys: list[dict]) -> dict | None:
    """Returns the first of the other keys that tells few lines apart; quantities only if there is no other key."""
    several = [key for key in keys if len(key["values"]) > 1]
    few = [key for key in several if len(key["values"]) <= MOST_LINES]
    return next((key for key in few if key["name"] != UNLIKE or len(several) == 1), None)


def _level(name: str, among: list[str], labels: Mapping[str, str] | None) -> dict[str, str]:
    dashes = style(name, among)["linestyle"][1]
    return {"words": words(name, labels), "dashes": " ".join(f"{part:g}" for part in dashes)}


def _has_parts(keys: list[dict]) -> bool:
    """Tells whether the table is of parts of strength per order, for which there is a slider of orders."""
    named = {key["name"]: key["values"] for key in keys}
    return set(named) == {"order", UNLIKE} and set(PARTS) <= set(named[UNLIKE])


def _number(value: float) -> float | None:
    return float(f"{value:.{DIGITS}g}") if np.isfinite(value) else None
