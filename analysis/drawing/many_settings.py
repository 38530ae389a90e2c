"""Draws more settings over runs than colours can tell apart: each is a row with its name.

Values over epochs or orders become a heat map of the means; a single number becomes a point with its interval, and
the runs are small points. Intervals and references that a heat map cannot show are in the table.
"""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.drawing import references as references_of
from analysis.drawing.few_settings import HUES
from analysis.drawing.style import is_reference, legend_columns

TICKS = 8  # along x, at most
SIZE = 8.5  # points


def heat_map(
    axes: Axes, panel: pd.DataFrame, runs: pd.DataFrame, x: str, references: dict[str, str], labels: list[str]
) -> None:
    means = panel.pivot_table(index="setting", columns=x, values="mean", dropna=False).reindex(range(len(labels)))
    axes.set_facecolor("#E8E8E8")  # where no value exists
    image = axes.imshow(means, aspect="auto", cmap="viridis", interpolation="nearest")
    axes.figure.colorbar(image, ax=axes, pad=0.02, aspect=40)
    places = range(0, means.shape[1], -(-means.shape[1] // TICKS))
    axes.set_xticks(places, [f"{means.columns[place]:g}" for place in places])
    axes.set_xlabel(x)
    _rows(axes, labels)


def forest(
    axes: Axes, panel: pd.DataFrame, runs: pd.DataFrame, _: None, references: dict[str, str], labels: list[str]
) -> None:
    at = panel["setting"]
    own = runs["setting"] + 0.22
    axes.plot(runs["mean"], own, "o", color=HUES[5], markersize=2.6, label="runs")
    axes.hlines(at, panel["low"], panel["high"], color="black", linewidth=1.3)
    axes.plot(panel["mean"], at, "D", color=HUES[0], markersize=4.5, label="mean of a setting, with its interval")
    references_of.reference_marks(
        axes, at.to_numpy(float), panel, list(references), 0.45, references, size=3.2, upright=True
    )
    axes.set_ylim(len(labels) - 0.5, -0.5)
    _rows(axes, labels)


def with_names(figure: Figure, labels: list[str], references: dict[str, str], title: str) -> Figure:
    """Adds a legend of the marks, if any. The names stand beside the rows, and `title` stands above the names."""
    found = {}
    for axes in figure.axes:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    handles = [handle for handle in found.values() if not is_reference(handle)]
    if handles:  # a heat map has none
        handles += [references_of.key(reference, list(references), references) for reference in references]
        names = [handle.get_label() for handle in handles]
        columns = legend_columns(figure.get_size_inches()[0], names, most=4)
        figure.legend(handles, names, loc="outside lower center", ncols=columns, fontsize=9.5)
    if title:
        figure.axes[0].set_ylabel(title)
    return figure


def _rows(axes: Axes, labels: list[str]) -> None:
    """Writes the names of the rows beside the first panel of each line of panels."""
    first = axes.get_subplotspec().is_first_col()
    axes.set_yticks(range(len(labels)), labels if first else [], fontsize=SIZE)
