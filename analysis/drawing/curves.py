"""Draws curves over epochs: a line with its interval for each model, and a level for the pre-trained one.

References are grey. Where models differ in one, its marks are filled for the fine-tuned model, half filled for the
pre-trained one, and open for the one from scratch.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from analysis.drawing.references import levels, style, words
from analysis.drawing.style import COLOURS, LINES, MARKERS, NAMES, REFERENCE, STYLE, is_reference, panels, with_legend

FILLS = {"finetune": "full", "pretrain": "left", "scratch": "none"}
IN_WORDS = {"full": "filled", "left": "half", "none": "open"}
APART = "pretrain"


@rc_context(STYLE)
def two_panels(
    title: str, table: pd.DataFrame, labels: dict[str, str], other: Mapping[str, str] | None = None
) -> Figure:
    """Draws a panel for each quantity in `labels`. The pre-trained model is a line at its last value. other: other
    words for references."""
    figure, both = panels(title, len(labels))
    for axes, (quantity, label) in zip(both, labels.items(), strict=True):
        rows = table[table["quantity"] == quantity]
        others = rows[rows["model"] != APART]
        curves(axes, others, other)
        if others.empty:  # a level alone has no epochs
            axes.set_xticks([])
        level(axes, rows[rows["model"] == APART].sort_values("epoch").tail(1), others, other)
        axes.set_ylabel(label)
    both[0].yaxis.set_major_formatter(PercentFormatter(1))
    return with_models(figure, 6)


def curves(axes: Axes, table: pd.DataFrame, other: Mapping[str, str] | None = None) -> None:
    """Draws a curve with its band for each model, and the references."""
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
    _references(axes, table, other)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    first, last = table["epoch"].min(), table["epoch"].max()
    axes.set_xlim(first - max(0.4, 0.03 * (last - first)), last + max(0.4, 0.03 * (last - first)))
    axes.set_xlabel("epoch")


def _references(axes: Axes, table: pd.DataFrame, other: Mapping[str, str] | None) -> None:
    """Draws references per model and epoch, as one line where the models have the same one."""
    among = levels(table)
    for place, name in enumerate(among):
        wide = table.pivot(index="epoch", columns="model", values=name).dropna(axis=1, how="all")
        if np.allclose(wide.max(axis=1), wide.min(axis=1), rtol=1e-6, equal_nan=True):
            lines = [(wide.mean(axis=1), FILLS[wide.columns[0]])]  # fine-tuned, if it is there
        else:
            lines = [(wide[model], FILLS[model]) for model in wide]
        for each, fill in lines:
            each, step = each.dropna(), max(1, len(wide) // 6)
            axes.plot(each.index, each, **style(name, among), fillstyle=fill, label=words(name, other),
                      markevery=(place * step // len(among) % len(each), step))  # fmt: skip


def level(axes: Axes, last: pd.DataFrame, others: pd.DataFrame, other: Mapping[str, str] | None = None) -> None:
    """Draws a horizontal line with its interval, and its references except those that the curves have as well.

    last: no row or one; others: the rows of the curves."""
    for _, row in last.iterrows():
        axes.axhline(row["mean"], color=COLOURS[APART], linestyle=(0, (5, 3)), label=NAMES[APART])
        if np.isfinite([row["low"], row["high"]]).all():
            axes.axhspan(row["low"], row["high"], color=COLOURS[APART], alpha=0.1, linewidth=0)
        among, shared = levels(last), levels(others)
        for place, name in enumerate(among):
            if name not in shared or not np.allclose(others[name].dropna(), row[name]):
                axes.plot([0, 0.06 + 0.05 * place, 1], 3 * [row[name]], **style(name, among), markevery=[1],
                          fillstyle=FILLS[APART], label=words(name, other),
                          transform=axes.get_yaxis_transform())  # fmt: skip


def with_models(figure: Figure, columns: int) -> Figure:
    """Adds the legend, and in it whose references are whose, if models differ in them."""
    lines = [line for axes in figure.axes for line in axes.lines if is_reference(line)]
    used = {line.get_fillstyle() for line in lines}
    if len(used) > 1:
        names = {fill: NAMES[model] for model, fill in FILLS.items() if fill in used}
        trained = {line.get_label() for axes in figure.axes for line in axes.lines} & {NAMES[name] for name in LINES}
        if "none" not in used:  # the curves share theirs
            names["full"] = " and ".join(sorted(trained))
        whose = ", ".join(f"{IN_WORDS[fill]}: {name}" for fill, name in names.items())
        figure.axes[0].plot([], [], linestyle="", label=f"grey marks {whose}", gid=REFERENCE)
    return with_legend(figure, columns)
