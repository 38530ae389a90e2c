"""Draws up to a dozen settings over runs: a line or a bar for each, told apart by colour, dashes and marks.

The band of a line, or the black line beside a bar, is the interval of a setting; thin lines and points are the runs
themselves, which stand alone where there is no interval. A legend below names the settings.
"""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from analysis.drawing import references as references_of
from analysis.drawing.beyond import drawn
from analysis.drawing.style import legend_columns

WIDELY = 30  # times
HUES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")  # also for colour-blind readers
DASHES, MARKS = ("-", (0, (5, 2))), ("o", "s", "^", "D", "v", "P", "X")
HATCHES = ("", "///")


def _style(setting: int) -> dict[str, object]:
    hue, turn = setting % len(HUES), setting // len(HUES)
    return {"color": HUES[hue], "linestyle": DASHES[turn % len(DASHES)], "marker": MARKS[setting % len(MARKS)]}


def _sizes(setting: int, labels: list[str]) -> dict[str, float]:
    """Returns sizes of lines and marks: later ones are smaller, so that both are visible where values are equal."""
    part = setting / len(labels)
    return {"linewidth": 2.3 - part, "markersize": 6.5 - 3 * part}


def curves(
    axes: Axes, panel: pd.DataFrame, runs: pd.DataFrame, x: str, references: dict[str, str], labels: list[str]
) -> None:
    for setting, rows in panel.groupby("setting"):
        rows, style = rows.sort_values(x), _style(setting)
        for _, each in runs[runs["setting"] == setting].groupby("run"):
            axes.plot(*each.sort_values(x)[[x, "mean"]].to_numpy(float).T, color=style["color"], linewidth=0.7,
                      alpha=0.45, marker="." if len(each) == 1 or rows["low"].isna().all() else "")  # fmt: skip
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


def _levels(axes: Axes, panel: pd.DataFrame, x: str, references: dict[str, str]) -> None:
    """Draws references in grey; where settings differ in one, its marks have their colours."""
    for place, (reference, name) in enumerate(references.items()):
        spread = panel.groupby(x)[reference].agg(lambda of_settings: of_settings.max() - of_settings.min()).max()
        differ = spread > 0.03 * abs(panel[reference]).max()
        each = panel.dropna(subset=[reference]).groupby("setting")
        for setting, rows in each if differ else list(each)[:1]:
            rows, step = rows.sort_values(x), max(1, len(rows) // 6)
            style = references_of.style(reference, list(references))
            if differ:
                style |= {"markerfacecolor": _style(setting)["color"]}
            start = (place * step // len(references) + setting) % min(step, len(rows))
            axes.plot(rows[x], rows[reference], **style, zorder=2.5, markevery=(start, step), label=name)


def by_magnitude(same: list[Axes]) -> bool:
    """Makes the scale logarithmic if all values are above 0 and differ widely, as strengths per order do. Returns
    whether it is."""
    values = drawn(same, references=True)
    widely = len(values) > 0 and values.min() > 0 and values.max() > WIDELY * values.min()
    for axes in same if widely else []:
        axes.set_yscale("log")
    return widely


def bars(
    axes: Axes, panel: pd.DataFrame, runs: pd.DataFrame, _: None, references: dict[str, str], labels: list[str]
) -> None:
    for _, row in panel.iterrows():
        setting = int(row["setting"])
        own = runs.loc[runs["setting"] == setting, "mean"].to_numpy(float)
        has_interval = np.isfinite(row["low"])
        style = {"color": HUES[setting % len(HUES)], "hatch": HATCHES[setting // len(HUES) % len(HATCHES)]}
        if has_interval:
            axes.bar(setting, row["mean"], 0.74, label=labels[setting], edgecolor="white", linewidth=0, **style)
            axes.vlines(setting + 0.22, row["low"], row["high"], color="black", linewidth=1.4, zorder=4.8)
        beside = (-0.3, 0.08) if has_interval else (-0.1, 0.1)
        spread = np.linspace(*beside, len(own)) if len(own) > 1 else np.zeros(1)
        face = "white" if has_interval else style["color"]
        axes.plot(setting + spread, own, "o", color=face, markeredgecolor="black", markeredgewidth=0.7, markersize=4,
                  zorder=5, label=None if has_interval else labels[setting])  # fmt: skip
    references_of.reference_marks(axes, panel["setting"].to_numpy(float), panel, list(references), 0.45, references)
    beside = max(0.6, 1.2 - 0.3 * len(labels))  # so that one bar does not fill the panel
    axes.set_xlim(-beside, len(labels) - 1 + beside)
    axes.set_ylim(*_with_zero(axes.get_ylim()))
    axes.set_xticks([])
    if panel["mean"].min() < 0:
        axes.axhline(0, color="black", linewidth=0.8)


def with_names(figure: Figure, labels: list[str], references: dict[str, str], title: str) -> Figure:
    """Adds a legend below all panels: the settings in their order, then the references."""
    found = {}
    for axes in figure.axes:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    handles = [found[label] for label in labels if label in found]
    handles += [references_of.key(reference, list(references), references) for reference in references]
    names = [handle.get_label() for handle in handles]
    if handles:
        columns = legend_columns(figure.get_size_inches()[0], names)
        figure.legend(handles, names, loc="outside lower center", ncols=columns, fontsize=9.5, title=title,
                      title_fontsize=9.5)  # fmt: skip
    return figure


def _with_zero(limits: tuple[float, float]) -> tuple[float, float]:
    return min(limits[0], 0.0), max(limits[1], 0.0)
