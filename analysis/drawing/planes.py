"""Draws sets of points in a plane, coloured by their class: what t-SNE makes of features, one panel for each model.

A plane of t-SNE has no axes that mean anything, so that none are drawn, and panels are not on one scale.
"""

from collections.abc import Sequence

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.drawing.glyphs import drawable
from analysis.drawing.style import LINE, STYLE, legend_columns

Panel = tuple[str, np.ndarray, np.ndarray]
HUES = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#333333")  # told apart by the colour-blind
MARKS = ("o", "^", "s", "D")
TITLE = "Features in a plane"
MOST, LONGEST = 20, 24  # classes with names, characters of a name
REST = "#9A9A9A"


@rc_context(STYLE)
def planes(panels: Sequence[Sequence[Panel]], classes: Sequence[object], title: str = TITLE) -> Figure:
    """Draws a grid of panels. panels: rows of (title, points [points, 2], labels [points], from 0 on); rows may have
    different lengths; classes: the names of the labels. More than 20 classes share colours and marks, and have no
    legend."""
    down, across = len(panels), max(map(len, panels))
    width = max(5.5, 3.5 * across)
    names = [_short(name) for name in classes] if len(classes) <= MOST else []
    columns = legend_columns(width, names) if names else 1
    figure = Figure(figsize=(width, 3.5 * down + 0.5 + LINE * -(-len(names) // columns)), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.08, h_pad=0.07)
    figure.suptitle(title)
    grid = figure.subplots(down, across, squeeze=False)
    for row, given in zip(grid, panels, strict=True):
        for axes, panel in zip(row, given, strict=False):
            _panel(axes, *panel)
        for axes in row[len(given) :]:
            axes.remove()
    if names:
        handles = [Line2D([], [], **_style(label), markersize=6) for label in range(len(names))]
        figure.legend(handles, names, loc="outside lower center", ncols=columns, fontsize=9.5)
    return figure


def _panel(axes: Axes, title: str, points: np.ndarray, labels: np.ndarray) -> None:
    axes.set_title(title, fontsize=10.5)
    size = float(np.clip(70 / np.sqrt(max(len(points), 1)), 1.8, 5))  # many points overlap less if they are small
    for label in np.unique(labels):
        of = points[labels == label]
        axes.plot(of[:, 0], of[:, 1], **_style(int(label)), markersize=size, markeredgewidth=0, alpha=0.75)
    axes.set(xticks=[], yticks=[])
    axes.margins(0.04)
    for spine in axes.spines.values():
        spine.set_visible(True)
        spine.set_color(REST)


def _style(label: int) -> dict[str, object]:
    """Classes have colours first, and other marks once these are used up."""
    return {"color": HUES[label % len(HUES)], "marker": MARKS[label // len(HUES) % len(MARKS)], "linestyle": ""}


def _short(name: object) -> str:
    text = drawable(str(name))
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
