"""Draws several views of the same checkpoints side by side: at which epoch each is highest, and which views agree.

Left, a row for each view: the darker, the higher its mean over seeds at that epoch, from its own lowest to its own
highest; the highest (all, where they are equal) has a ring. Right, a square for each pair of views: Kendall's tau over
the epochs, which a common trend makes large; a dot where the two agree in what seeds have beyond that trend. Rows are
the same on both sides.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd
from matplotlib import colormaps, rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from analysis.drawing.epochs import LABEL
from analysis.drawing.style import LINE, STYLE, legend_columns
from analysis.statistics.curves import ROUNDING

ROW, CELL, NARROWEST, SIZE = 0.34, 0.62, 7.6, 8.5  # inches; points
TITLE = "What do several views of the same checkpoints say?"
HIGH, TAUS = colormaps["Blues"].with_extremes(bad="#EEEEEE"), colormaps["PuOr_r"].with_extremes(bad="white")
PALE = 0.75  # of the colours, so that numbers and dots can be read
BESIDE = "epoch"


@rc_context(STYLE)
def draw(
    over: pd.DataFrame, trends: pd.DataFrame, pairs: pd.DataFrame, words: Callable[[str], str], alpha: float, note: str
) -> Figure:
    """over: view, epoch, mean; trends: view, tau; pairs: view, other, tau_within, z, p_adjusted; words: of a view's
    name; alpha: below which p a pair has a dot; note: what is said where nothing is tested, or ""."""
    names = list(dict.fromkeys(over["view"]))
    wide = over.pivot(index="view", columns="epoch", values="mean").loc[names]
    width = max(NARROWEST, 4.0 + CELL * wide.shape[1] + ROW * (len(names) + 1))
    figure = Figure(figsize=(width, ROW * len(names) + 2.5), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.08, h_pad=0.07)
    figure.suptitle(TITLE)
    left, right = figure.subplots(1, 2, width_ratios=(CELL * wide.shape[1], ROW * (len(names) + 1)))
    _standing(left, wide, [f"{words(name)}  {at}" for at, name in enumerate(names, 1)])
    image = _pairs(right, names, trends.set_index("view")["tau"], pairs, alpha)
    bar = figure.colorbar(image, ax=right, shrink=0.7, pad=0.02, aspect=25, label="Kendall's tau over epochs")
    bar.ax.set_ylim(-1, 1)
    _legend(figure, note)
    return figure


def _standing(axes: Axes, wide: pd.DataFrame, labels: list[str]) -> None:
    means = wide.to_numpy(float)
    low, high = np.nanmin(means, 1, keepdims=True), np.nanmax(means, 1, keepdims=True)
    standing = np.divide(means - low, high - low, out=np.full(means.shape, np.nan), where=high > low)
    axes.imshow(standing, cmap=HIGH, vmin=0, vmax=1 / PALE, aspect="auto")
    for (row, column), value in np.ndenumerate(means):
        if np.isfinite(value):
            axes.text(column, row, _number(value, high[row, 0], low[row, 0]), ha="center", va="center", fontsize=SIZE,
                      color="white" if standing[row, column] > 0.85 else "black")  # fmt: skip
    for row in np.flatnonzero(np.isfinite(standing).any(1)):
        for best in np.flatnonzero(means[row] >= high[row] - ROUNDING):
            place = (best - 0.47, row - 0.44)
            axes.add_patch(Rectangle(place, 0.94, 0.88, fill=False, edgecolor="#D55E00", linewidth=2))
    axes.set_xticks(range(wide.shape[1]), [f"{epoch:g}" for epoch in wide.columns])
    axes.set_yticks(range(len(labels)), labels)
    axes.set_xlabel(LABEL)
    axes.set_title("mean over seeds: the darker, the higher", fontsize=10)
    _bare(axes)


def _number(value: float, *ends: float) -> str:
    """Rounds to three digits of the row's largest number, and four decimals at most."""
    largest = max(map(abs, ends))
    decimals = int(np.clip(2 - np.floor(np.log10(largest)), 0, 4)) if largest else 0
    return np.format_float_positional(round(value, decimals) + 0.0, trim="-")


def _pairs(axes: Axes, names: list[str], with_epoch: pd.Series, pairs: pd.DataFrame, alpha: float) -> AxesImage:
    """Draws the lower triangle, and before it how each view goes with the epoch itself."""
    place = {name: at for at, name in enumerate(names)}
    taus = np.full((len(names), len(names) + 1), np.nan)
    taus[:, 0] = [with_epoch.get(name, np.nan) for name in names]
    for row in pairs.itertuples():
        taus[place[row.other], place[row.view] + 1] = row.tau_within
        if row.p_adjusted < alpha:
            axes.plot(place[row.view] + 1, place[row.other], "o" if row.z > 0 else "X", color="black", markersize=7)
    image = axes.imshow(taus, cmap=TAUS, vmin=-1 / PALE, vmax=1 / PALE, aspect="auto")
    axes.set_xticks(range(len(names)), [BESIDE, *map(str, range(1, len(names)))])
    axes.tick_params("x", labelsize=SIZE)
    axes.set_yticks(range(len(names)), [str(at) for at in range(1, len(names) + 1)])
    axes.set_xlim(-0.5, len(names) - 0.5)
    axes.axvline(0.5, color="black", linewidth=0.8)
    axes.set_title("do they go together?", fontsize=10)
    _bare(axes)
    return image


def _bare(axes: Axes) -> None:
    axes.tick_params(length=0)
    for side in axes.spines.values():
        side.set_visible(False)


def _legend(figure: Figure, note: str) -> None:
    """Says what ring and dots are."""
    marks = [Line2D([], [], linestyle="", marker="s", color="none", markeredgecolor="#D55E00", markeredgewidth=2,
                    markersize=10, label="a view's highest epoch")]  # fmt: skip
    if note:
        marks.append(Line2D([], [], linestyle="", label=note))
    else:
        for mark, label in (("o", "they agree beyond the common trend"), ("X", "they go against each other beyond it")):
            marks.append(Line2D([], [], linestyle="", marker=mark, color="black", markersize=7, label=label))
    width, height = figure.get_size_inches()
    columns = legend_columns(width, [mark.get_label() for mark in marks], 3)
    figure.set_size_inches(width, height + LINE * (-(-len(marks) // columns) - 1))
    figure.legend(handles=marks, loc="outside lower center", ncols=columns, fontsize=9.5)
