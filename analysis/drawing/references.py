"""What references are called in figures, and how they are drawn: thin and grey, told apart by dashes and marks.

A reference is the level that a quantity has when something else stands in for one of its models: it tells what a value
means. Every figure draws the same reference in the same way, so the grey lines can be told apart in print without
colour. A user's own measure may have references of other names: they keep their names and take what styles are left.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from analysis.drawing.style import COLOURS, REFERENCE


class Mark(NamedTuple):
    """A reference in words, the dashes of its line, and its mark."""

    words: str
    dashes: tuple
    marker: str


MARKS = {
    "placement": Mark("placement: strengths alone", (0, (1, 1.5)), "X"),
    "sign": Mark("sign: if signs were independent", (0, (5, 2)), "D"),
    "task": Mark("task: scratch in place of fine-tuned", (0, ()), "s"),
    "other": Mark("other: fine-tuned from another pre-training", (0, (6, 1.5, 1, 1.5)), "P"),
    "ceiling": Mark("ceiling: another fine-tuning", (0, (9, 2)), "^"),
    "class": Mark("class: another sample of the same class", (0, (3, 1.5, 1, 1.5, 1, 1.5)), "*"),
    "chance": Mark("by chance", (0, (3, 2)), "d"),
    "shuffled": Mark("values shuffled", (0, (1, 3)), "p"),
    "random": Mark("a random move of the weights of equal norm", (0, (4, 1.5)), "o"),
    "another_training": Mark("another fine-tuning from the same start", (0, (10, 2, 2, 2)), "H"),
}
LEFT = (((0, (2, 1)), "h"), ((0, (4, 1, 1, 1)), "<"), ((0, (7, 3)), ">"), ((0, (1, 2, 3, 2)), "v"), ((0, (2, 4)), "8"))
DERIVED = ("_excess", "_low", "_high")  # columns beside a reference
AT_EQUAL_STRENGTH = "equal_"
OUTLINE = [patheffects.withStroke(linewidth=2.6, foreground="white")]


def levels(table: pd.DataFrame, columns: Iterable[str] | None = None) -> list[str]:
    """Returns the references among the columns (all after `high`, unless they are given) that have any number."""
    columns = list(table)[list(table).index("high") + 1 :] if columns is None else list(columns)
    found = [name for name in columns if not name.startswith(AT_EQUAL_STRENGTH) and not _is_derived(name, columns)]
    return [name for name in found if np.isfinite(table[name].to_numpy(float)).any()]


def _is_derived(name: str, columns: list[str]) -> bool:
    return any(name.endswith(end) and name.removesuffix(end) in columns for end in DERIVED)


def words(name: str, other: Mapping[str, str] | None = None) -> str:
    """Returns what a reference is called: as `other` (a measure's LABELS) says, if it does."""
    known = MARKS[name].words if name in MARKS else name.replace("_", " ")
    return (other or {}).get(name, known)


def style(name: str, among: list[str]) -> dict[str, object]:
    """Returns the style of a reference's line with its marks. among: all references of the figure."""
    unknown = [each for each in among if each not in MARKS]
    own = MARKS[name][1:] if name in MARKS else LEFT[unknown.index(name) % len(LEFT)]
    return {"color": COLOURS["reference"], "linestyle": own[0], "marker": own[1], "markersize": 4, "linewidth": 1,
            "markeredgewidth": 0.8, "gid": REFERENCE}  # fmt: skip


def key(name: str, among: list[str], other: Mapping[str, str] | None = None) -> Line2D:
    """Returns a reference's line for a legend."""
    return Line2D([], [], **style(name, among), label=words(name, other))


def reference_marks(
    axes: Axes, at: np.ndarray, table: pd.DataFrame, among: list[str], reach: float,
    other: Mapping[str, str] | None = None, side: int = 1, size: float = 4.5, upright: bool = False,
) -> None:  # fmt: skip
    """Draws references as short lines across the bars at these places, edged in white, so that they are visible on any
    colour. Each has its mark at a place of its own along the line: marks of equal levels stay apart.

    at: the middle of each row's bar; among: the references; reach: half of a line's length; other: other words;
    side: -1 draws downwards; size: of the marks, in points; upright: whether bars lie and lines stand.
    """
    places = np.linspace(-0.85, 0.85, len(among) + len(among) % 2)  # none in the middle, where intervals are
    for name, place in zip(among, places, strict=False):
        values, line = side * table[name].to_numpy(float), style(name, among)
        draw = axes.vlines if upright else axes.hlines
        draw(values, at - reach, at + reach, color=line["color"], linestyle=line["linestyle"], linewidth=1.1, zorder=4,
             path_effects=OUTLINE, gid=REFERENCE)  # fmt: skip
        marks = (values, at + place * reach) if upright else (at + place * reach, values)
        axes.plot(*marks, linestyle="", marker=line["marker"], color=line["color"], markersize=size, zorder=4.5,
                  markeredgecolor="white", markeredgewidth=0.5, gid=REFERENCE)  # fmt: skip
        axes.add_line(key(name, among, other))  # has no points: it is for the legend
