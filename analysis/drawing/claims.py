"""Draws what the claims are counted by over settings: a panel for each way to count, a point with its interval for each
setting. Open points are the same at equal strengths; dotted lines are the bounds of what is claimed.

So a sweep over probe.l2 shows that "discarded / preserved" follows it, and does not at equal strengths.
"""

from textwrap import fill

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.drawing.along_settings import are_along, axis_of
from analysis.drawing.style import STYLE
from analysis.tables import EQUAL

QUESTION = "How do the claims depend on the settings?"
TITLE = "What the claims are counted by, in each setting"
RAW, AT_EQUAL = "#0072B2", "#D55E00"
ACROSS, MOST = 3, 24


@rc_context(STYLE)
def draw(claims: pd.DataFrame, labels: list[str], name: str, settings: list[object]) -> Figure | None:
    """Draws the claims over runs. claims: with the columns setting (number of its label), key, quantity, mean, low,
    high, above, below; name, settings: the only key that differs, and its values. Returns None without any number."""
    known = claims[np.isfinite(claims["mean"])]
    keys = list(dict.fromkeys(known["key"]))[:MOST]
    if not keys:
        return None
    across, down = min(ACROSS, len(keys)), -(-len(keys) // ACROSS)
    figure = Figure(figsize=(3.6 * across, 2.9 * down + 0.8), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.08, h_pad=0.07)
    figure.suptitle(TITLE)
    every = list(figure.subplots(down, across, squeeze=False).flat)
    for axes, key in zip(every, keys, strict=False):
        _panel(axes, known[known["key"] == key], labels, name, settings)
    for axes in every[len(keys) :]:
        axes.remove()
    _legend(figure)
    return figure


def _panel(axes: Axes, rows: pd.DataFrame, labels: list[str], name: str, settings: list[object]) -> None:
    axes.set_title(fill(rows["quantity"].iloc[0], 44), fontsize=8.5)
    along = are_along(settings)
    at = axis_of(axes, settings, name) if along else np.arange(len(labels), dtype=float)
    x = at[rows["setting"]]
    for prefix, colour, face, shift in (("", RAW, RAW, 0.0), (EQUAL, AT_EQUAL, "white", 0.0 if along else 0.15)):
        if f"{prefix}mean" not in rows or rows[f"{prefix}mean"].isna().all():
            continue
        mean, low, high = (rows[f"{prefix}{end}"] for end in ("mean", "low", "high"))
        axes.plot(x + shift, mean, linestyle="", marker="o", color=colour, markerfacecolor=face, markersize=5, zorder=3)
        axes.vlines(x + shift, low, high, color=colour, linewidth=1.2, zorder=2.5)
    for bound in {*rows["above"].dropna(), *rows["below"].dropna()}:
        axes.axhline(bound, color="black", linestyle=":", linewidth=0.9)
    if not along:
        axes.set_xticks(at, [fill(label, 18) for label in labels], rotation=30 if len(labels) > 3 else 0, fontsize=8)
        axes.set_xlim(-0.5, len(labels) - 0.35)


def _legend(figure: Figure) -> None:
    point = {"linestyle": "", "marker": "o"}
    handles = [
        Line2D([], [], color=RAW, **point, label="as measured"),
        Line2D([], [], color=AT_EQUAL, markerfacecolor="white", **point, label="at equal strengths"),
        Line2D([], [], color="black", linestyle=":", label="bound of what is claimed"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, fontsize=9.5)
