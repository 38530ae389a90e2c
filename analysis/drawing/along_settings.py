"""Draws one number of each setting over the values of the setting itself, where runs differ in a number alone.

So a sweep over probe.l2 shows how a ratio depends on it. The axis is logarithmic if the values differ widely. A word
among the numbers, such as auto, has a place of its own behind the largest.
"""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from analysis.drawing import references as references_of
from analysis.drawing.few_settings import HUES, WIDELY

FEWEST = 4  # numbers
TICKS = 6  # numbers along the axis, at most, where words are among them


def are_along(values: list[object]) -> bool:
    """Tells whether an axis can be made of these values, one for each setting."""
    return sum(not isinstance(value, str) for value in values) >= FEWEST


def points(
    axes: Axes,
    panel: pd.DataFrame,
    runs: pd.DataFrame,
    values: list[float | str],
    references: dict[str, str],
    name: str,
) -> None:
    """Draws a line of the numbers, and points of the words. values: of each setting, in the order of `setting`."""
    at = axis_of(axes, values, name)
    for words, dashes in ((False, "-"), (True, "")):
        rows = panel[[isinstance(values[setting], str) == words for setting in panel["setting"]]]
        x = at[rows["setting"]]
        axes.plot(x, rows["mean"], color=HUES[0], linestyle=dashes, marker="o", markersize=5, zorder=3)
        axes.vlines(x, rows["low"], rows["high"], color=HUES[0], zorder=3)
        for reference in references:
            style = references_of.style(reference, list(references)) | ({} if dashes else {"linestyle": ""})
            axes.plot(x, rows[reference], **style, zorder=2.5)
    axes.plot(at[runs["setting"]], runs["mean"], ".", color="black", markersize=4, zorder=4)


def axis_of(axes: Axes, values: list[float | str], name: str) -> np.ndarray:
    """Makes the axis; returns the place of each value."""
    words = [value for value in values if isinstance(value, str)]
    numbers = np.sort([value for value in values if not isinstance(value, str)])
    wide = numbers[0] > 0 and numbers[-1] > WIDELY * numbers[0]
    beyond = np.arange(1, len(words) + 1)
    after = numbers[-1] * 4.0**beyond if wide else numbers[-1] + 0.15 * beyond * (numbers[-1] - numbers[0])
    axes.set_xlabel(name)
    if wide:
        axes.set_xscale("log")
    if words:
        ticks = numbers[:: -(-len(numbers) // TICKS)]
        axes.set_xticks([*ticks, *after], [*(f"{tick:g}" for tick in ticks), *words], rotation=30)
        axes.set_xticks([], minor=True)
    place = dict(zip([*numbers.tolist(), *words], [*numbers, *after], strict=True))
    return np.array([place[value] for value in values], float)
