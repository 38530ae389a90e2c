"""Draws the accuracy gain of each run against what it preserves beyond the task, with the slope within seeds."""

from itertools import cycle

import numpy as np
import pandas as pd
from matplotlib import colormaps, rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.drawing.style import STYLE, panels, with_legend

TITLE = "Do models that preserve more gain more?"
NAMED = {
    "nothing": ("#333333", "o", "random weights"),
    "moments": ("#CC79A7", "s", "random weights, moments of the pre-trained"),
    "shuffled": ("#D55E00", "X", "pre-trained weights, shuffled"),
    "all": ("#0072B2", "*", "all pre-trained weights"),
}
BLOCKS, MARKS = colormaps["summer"], ("^", "v", "D", "P", "<", ">", "h")


@rc_context(STYLE)
def draw(by_run: pd.DataFrame, over: pd.DataFrame) -> Figure:
    """Draws a small mark for each run, a large one for the mean of each arm, and a line with a band for each slope.

    by_run: seed, arm, gain, excess, arms in the order of the legend; over: arms, mean, low, high. What seeds differ in
    as a whole is taken away: each seed's mean is moved to the mean of all.
    """
    figure, (axes,) = panels(TITLE, height=5.2)
    moved = by_run.assign(**{
        name: by_run[name] - by_run.groupby("seed")[name].transform("mean") + by_run[name].mean()
        for name in ("gain", "excess")
    })  # fmt: skip
    for arm, (colour, mark, name) in _styles(list(dict.fromkeys(moved["arm"]))).items():
        rows = moved[moved["arm"] == arm]
        style = {"color": colour, "marker": mark, "linestyle": "", "markeredgecolor": "white"}
        axes.plot(rows["excess"], rows["gain"], **style, markersize=6, markeredgewidth=0.4, alpha=0.6, zorder=3)
        big = 15 if mark == "*" else 11
        axes.plot(rows["excess"].mean(), rows["gain"].mean(), **style, markersize=big, label=name, zorder=4)
    for (_, row), dashes in zip(over.iterrows(), ("-", "--"), strict=False):
        _line(axes, moved, row, dashes)
    axes.set(xlabel="preserved beyond the reference task (% of the preserved)",
             ylabel="accuracy, fine-tuned – from scratch\n(percentage points)")  # fmt: skip
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(lambda share, _: f"{100 * share:.3g}")
    return with_legend(figure, 2)


def _styles(arms: list[str]) -> dict[str, tuple]:
    """Returns arm -> colour, mark, name. Numbers of blocks go from dark to light."""
    counts = [arm for arm in arms if arm not in NAMED]
    shades = BLOCKS(np.linspace(0.0, 0.6, len(counts)))
    blocks = {
        arm: (shade, mark, "the first block" if arm == "1" else f"the first {arm} blocks")
        for arm, shade, mark in zip(counts, shades, cycle(MARKS), strict=False)
    }
    return {arm: NAMED.get(arm) or blocks[arm] for arm in arms}


def _line(axes: Axes, moved: pd.DataFrame, row: pd.Series, dashes: str) -> None:
    """Draws a slope through the mean of its arms; the band holds the lines of all slopes in its interval."""
    if not np.isfinite(row["mean"]):
        return
    rows = moved if row["arms"] == "all" else moved[moved["arm"] != row["arms"].removeprefix("without ")]
    x = np.array([moved["excess"].min(), rows["excess"].mean(), moved["excess"].max()])
    low, middle, high = (rows["gain"].mean() + row[name] * (x - x[1]) for name in ("low", "mean", "high"))
    name = "slope, with 95% interval" if row["arms"] == "all" else f"slope {row['arms']}"
    axes.plot(x, middle, color="black", linestyle=dashes, linewidth=1.6, label=name, zorder=2)
    if row["arms"] == "all":
        axes.fill_between(x, low, high, color="black", alpha=0.1, linewidth=0, zorder=0)
