"""Draws the spectrum of features, and the accuracy on its components, before and after fine-tuning."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from analysis.drawing.references import levels, reference_marks
from analysis.drawing.style import COLOURS, panels, with_legend

WIDTH = 0.36  # of a bar
MODELS = ("pretrain", "finetune")
CORNERS = ((6, -12, "left"), (-6, 5, "right"))  # points from a mark to its name, which stands right of it or left


def before_and_after(table: pd.DataFrame, labels: Mapping[str, str]) -> Figure:
    """table: as the measure `spectrum` makes it, with the singular values of each model in its attrs."""
    figure, (left, right) = panels("What the spectral components of the features know", 2, height=4.6)
    dimension = table[(table["quantity"] == "dimension") & (table["component"] == "main")].set_index("model")["mean"]
    whole = table.attrs.get("scope") != "batch"  # else each batch has a k of its own
    values = {model: each for model, each in (table.attrs.get("values") or {}).items() if len(each)}
    least_last = sorted(values, key=lambda model: -dimension[model])  # the smaller k stands on the left
    for model, each in values.items():
        k = float(dimension[model]) if whole else np.nan
        _cumulated(left, np.asarray(each), k, COLOURS[model], CORNERS[least_last.index(model)])
    left.set(xlabel="singular values, from the largest on", ylabel="share of their sum", ylim=(0, 1.03))
    left.yaxis.set_major_formatter(PercentFormatter(1))
    _bars(right, table[table["quantity"] == "accuracy"], labels)
    return with_legend(figure, 4)


def _cumulated(axes: Axes, values: np.ndarray, k: float, colour: str, corner: tuple[int, int, str]) -> None:
    shares = np.cumsum(values) / values.sum()
    axes.plot(np.arange(1, len(values) + 1), shares, color=colour)
    if np.isnan(k):
        return
    axes.plot(k, np.interp(k, np.arange(1, len(values) + 1), shares), "D", color=colour, markersize=6)
    axes.annotate(f"k = {k:.3g}", (k, np.interp(k, np.arange(1, len(values) + 1), shares)), corner[:2],
                  textcoords="offset points", ha=corner[2], color=colour)  # fmt: skip


def _bars(axes: Axes, rows: pd.DataFrame, labels: Mapping[str, str]) -> None:
    components, models = list(dict.fromkeys(rows["component"])), [name for name in MODELS if name in set(rows["model"])]
    for place, model in enumerate(models):
        of = rows[rows["model"] == model].set_index("component").loc[components].reset_index()
        at = np.arange(len(of)) + (place - (len(models) - 1) / 2) * WIDTH
        axes.barh(at, of["mean"], WIDTH, color=COLOURS[model], label=labels[model])
        axes.hlines(at, of["low"], of["high"], color="black", linewidth=1.2)
        reference_marks(axes, at, of, levels(of), WIDTH / 2, labels, upright=True)
    axes.set_yticks(range(len(components)), [labels[name] for name in components])
    axes.set(xlim=(0, 1.02), ylim=(len(components) - 0.4, -0.6), xlabel="accuracy on the test set")
