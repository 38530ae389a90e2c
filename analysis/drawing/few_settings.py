"""Draws up to a dozen settings over runs: a line or a bar for each, told apart by colour, dashes and marks.

The band of a line, or the black line beside a bar, is the interval between a setting's runs; thin lines and points
are the runs themselves. Fewer than three runs have no interval: then only their points are drawn. A legend below
names the settings.
"""

from itertools import cycle, islice

import numpy as np
import pandas as pd
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from analysis.drawing.style import COLOURS
from analysis.statistics.between import FEWEST

WIDELY = 30  # times
REFERENCE = "reference"  # marks its lines
HUES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")  # also for colour-blind readers
DASHES, MARKS = ("-", (0, (5, 2))), ("o", "s", "^", "D", "v", "P", "X")
HATCHES = ("", "///")
GREYS = ("--", ":", "-.", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 4)))


def _style(setting: int) -> dict[str, object]:
    hue, turn = setting % len(HUES), setting // len(HUES)
    return {"color": HUES[hue], "linestyle": DASHES[turn % len(DASHES)], "marker": MARKS[setting % len(MARKS)]}


def _sizes(setting: int, labels: list[str]) -> dict[str, float]:
    """Returns sizes of lines and marks: later ones are smaller, so that both are visible where values are equal."""
    part = setting / len(labels)
    return {"linewidth": 2.3 - part, "markersize": 6.5 - 3 * part}


def curves(
    axes: Axes, panel: pd.DataFrame, runs: pd.DataFrame, x: str, references: list[str], labels: list[str]
) -> None:
    for setting, rows in panel.groupby("setting"):
        rows, style = rows.sort_values(x), _style(setting)
        for _, each in runs[runs["setting"] == setting].groupby("run"):
            axes.plot(*each.sort_values(x)[[x, "mean"]].to_numpy(float).T, color=style["color"], linewidth=0.7,
                      alpha=0.45, marker="." if len(each) == 1 or rows["runs"].max() < FEWEST else "")  # fmt: skip
        every = 1 + len(rows) // 20
        axes.plot(rows[x], rows["mean"], **style, **_sizes(setting, labels), markevery=every, label=labels[setting],
                  zorder=3)  # fmt: skip
        axes.fill_between(rows[x], rows["low"], rows["high"], color=style["color"], alpha=0.17, linewidth=0)
        if len(rows) == 1:  # a band without width is invisible
            axes.vlines(rows[x], rows["low"], rows["high"], color=style["color"])
    _levels(axes, panel, x, references)
    axes.set_xlabel(x)
    if (panel[x] % 1 == 0).all():
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))


def _levels(axes: Axes, panel: pd.DataFrame, x: str, references: list[str]) -> None:
    """Draws references in grey, or each in the colour of its setting if settings differ in it."""
    for reference, line in zip(references, islice(cycle(GREYS), len(references)), strict=True):
        spread = panel.groupby(x)[reference].agg(lambda of_settings: of_settings.max() - of_settings.min()).max()
        differ = spread > 0.03 * abs(panel[reference]).max()
        for setting, rows in panel.dropna(subset=[reference]).groupby("setting"):
            rows, mark = rows.sort_values(x), "_" if len(rows) == 1 else ""
            colour = _style(setting)["color"] if differ else COLOURS["chance"]
            axes.plot(rows[x], rows[reference], color=colour, linestyle=line, marker=mark, markersize=12, linewidth=1,
                      label=reference, zorder=1.5, gid=REFERENCE)  # fmt: skip


def by_magnitude(same: list[Axes]) -> None:
    """Makes the scale logarithmic if all values are above 0 and differ widely, as strengths per order do."""
    values = _drawn(same, references=True)
    if len(values) and values.min() > 0 and values.max() > WIDELY * values.min():
        for axes in same:
            axes.set_yscale("log")


def with_far_references(same: list[Axes]) -> None:
    """Makes the scale logarithmic beyond the curves if a reference is so far away that it would press them flat."""
    own, every = abs(_drawn(same, references=False)), abs(_drawn(same, references=True))
    if len(own) and 0 < WIDELY * own.max() < every.max():
        for axes in same:
            axes.set_yscale("symlog", linthresh=own.max())
            axes.yaxis.set_major_formatter(lambda y, _: f"{y:g}")


def _drawn(same: list[Axes], references: bool) -> np.ndarray:
    """Returns the finite values of all curves, with or without those of references."""
    lines = [line for axes in same for line in axes.lines if references or line.get_gid() != REFERENCE]
    values = np.concatenate([np.asarray(line.get_ydata(), float) for line in lines] or [np.empty(0)])
    return values[np.isfinite(values)]


def bars(
    axes: Axes, panel: pd.DataFrame, runs: pd.DataFrame, _: None, references: list[str], labels: list[str]
) -> None:
    for _, row in panel.iterrows():
        setting = int(row["setting"])
        own = runs.loc[runs["setting"] == setting, "mean"].to_numpy(float)
        style = {"color": HUES[setting % len(HUES)], "hatch": HATCHES[setting // len(HUES) % len(HATCHES)]}
        if row["runs"] >= FEWEST:
            axes.bar(setting, row["mean"], 0.74, label=labels[setting], edgecolor="white", linewidth=0, **style)
            axes.vlines(setting + 0.22, row["low"], row["high"], color="black", linewidth=1.4, zorder=4)
        beside = (-0.3, 0.08) if row["runs"] >= FEWEST else (-0.1, 0.1)
        spread = np.linspace(*beside, len(own)) if len(own) > 1 else np.zeros(1)
        face = "white" if row["runs"] >= FEWEST else style["color"]
        axes.plot(setting + spread, own, "o", color=face, markeredgecolor="black", markeredgewidth=0.7, markersize=4,
                  zorder=5, label=None if row["runs"] >= FEWEST else labels[setting])  # fmt: skip
        for reference, line in zip(references, islice(cycle(GREYS), len(references)), strict=True):
            axes.hlines(row[reference], setting - 0.45, setting + 0.45, color=COLOURS["chance"], linestyle=line,
                        linewidth=1.6, zorder=3.5, label=reference,
                        path_effects=[patheffects.withStroke(linewidth=3, foreground="white")])  # fmt: skip
    axes.set_xlim(-0.6, len(labels) - 0.4)
    axes.set_ylim(*_with_zero(axes.get_ylim()))
    axes.set_xticks([])
    if panel["mean"].min() < 0:
        axes.axhline(0, color="black", linewidth=0.8)


def with_names(figure: Figure, labels: list[str], references: list[str], title: str) -> Figure:
    """Adds a legend below all panels: the settings in their order, then the references."""
    found = {}
    for axes in figure.axes:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    names = [name for name in (*labels, *references) if name in found]
    for name, line in zip(references, islice(cycle(GREYS), len(references)), strict=True):
        found[name] = Line2D([], [], color=COLOURS["chance"], linestyle=line)  # without the mark of a single value
    columns = legend_columns(figure.get_size_inches()[0], labels)
    if names:
        figure.legend([found[name] for name in names], names, loc="outside lower center", ncols=columns, fontsize=9.5,
                      title=title, title_fontsize=9.5)  # fmt: skip
    return figure


def legend_columns(width: float, labels: list[str]) -> int:
    """Returns how many columns fit beside each other with the longest label; width in inches."""
    longest = max(len(label) for label in labels) + 8
    return int(np.clip(12.5 * width // longest, 1, 6))


def _with_zero(limits: tuple[float, float]) -> tuple[float, float]:
    return min(limits[0], 0.0), max(limits[1], 0.0)
