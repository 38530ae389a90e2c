"""Draws curves over epochs: a line with its interval for each model, and a level for the pre-trained one."""

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from analysis.drawing.style import COLOURS, LINES, MARKERS, NAMES, STYLE, panels, with_legend

CHANCE_LINES = {"finetune": "--", "scratch": ":"}
APART = "pretrain"


@rc_context(STYLE)
def two_panels(title: str, table: pd.DataFrame, labels: dict[str, str]) -> Figure:
    """Draws a panel for each quantity in `labels`. The pre-trained model is a line at its last value."""
    figure, both = panels(title, len(labels))
    for axes, (quantity, label) in zip(both, labels.items(), strict=True):
        rows = table[table["quantity"] == quantity]
        others = rows[rows["model"] != APART]
        curves(axes, others)
        if others.empty:  # a level alone has no epochs
            axes.set_xticks([])
        for _, last in rows[rows["model"] == APART].sort_values("epoch").tail(1).iterrows():
            shared = not others.empty and np.allclose(others["chance"].dropna(), last["chance"])
            level(axes, last, shared=shared)
        axes.set_ylabel(label)
    both[0].yaxis.set_major_formatter(PercentFormatter(1))
    return with_legend(figure, 6)


def curves(axes: Axes, table: pd.DataFrame) -> None:
    if table.empty:
        return
    for model in [name for name in LINES if name in set(table["model"])]:
        rows = table[table["model"] == model].sort_values("epoch")
        colour, epochs = COLOURS[model], rows["epoch"]
        style = {"linestyle": LINES[model], "marker": MARKERS[model], "markevery": 1 + len(rows) // 25}
        axes.plot(epochs, rows["mean"], color=colour, **style, label=NAMES[model])
        axes.fill_between(epochs, rows["low"], rows["high"], color=colour, alpha=0.2, linewidth=0)
        if len(rows) == 1:  # a band without width is invisible
            axes.vlines(epochs, rows["low"], rows["high"], color=colour)
    _chances(axes, table)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    first, last = table["epoch"].min(), table["epoch"].max()
    axes.set_xlim(first - max(0.4, 0.03 * (last - first)), last + max(0.4, 0.03 * (last - first)))
    axes.set_xlabel("epoch")


def _chances(axes: Axes, table: pd.DataFrame) -> None:
    """Draws chance per model and epoch, as one line where the models have the same chance."""
    wide = table.pivot(
        index="epoch", columns="model", values=[c for c in ("chance", "sign", "shuffled") if c in table][0]
    ).dropna(axis=1, how="all")
    if wide.empty:
        return
    if np.allclose(wide.max(axis=1), wide.min(axis=1), rtol=1e-6, equal_nan=True):
        levels = {"chance": (wide.mean(axis=1), "--")}
    else:
        levels = {f"chance ({NAMES[name]})": (wide[name], CHANCE_LINES[name]) for name in wide}
    for label, (level, line) in levels.items():
        level = level.dropna()
        mark = "_" if len(level) == 1 else ""
        axes.plot(level.index, level, line + mark, color=COLOURS["chance"], markersize=14, label=label)


def level(axes: Axes, row: pd.Series, shared: bool) -> None:
    """Draws a horizontal line with its interval, and its chance unless the curves have the same one (`shared`)."""
    name = NAMES[row["model"]]
    axes.axhline(row["mean"], color=COLOURS["pretrain"], linestyle=(0, (5, 3)), label=name)
    if np.isfinite([row["low"], row["high"]]).all():
        axes.axhspan(row["low"], row["high"], color=COLOURS["pretrain"], alpha=0.1, linewidth=0)
    if np.isfinite(row["chance"]) and not shared:
        axes.axhline(row["chance"], color=COLOURS["chance"], linestyle=(0, (1, 3)), label=f"chance ({name})")
