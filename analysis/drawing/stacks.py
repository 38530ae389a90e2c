"""Draws strengths per order as mirrored stacks (Fig. 2 of arXiv 2410.08455): the pre-trained model above the axis, the
fine-tuned one below, what is preserved innermost, so that it is compared with both.

Order 0 holds one subset whose interaction is far stronger than the others: on a common axis it would press all other
orders flat. So it has a narrow panel with a scale of its own.
"""

from collections.abc import Mapping
from math import comb

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from analysis.drawing.references import levels, reference_marks
from analysis.drawing.style import COLOURS, STYLE, with_legend

APART = "#F3F3F3"  # behind order 0
WIDTH = 0.74  # of a bar
THIN = 0.02  # of the axis: where less is preserved, references would only cover it


@rc_context(STYLE)
def stacks(title: str, table: pd.DataFrame, unit: str, other: Mapping[str, str] | None = None) -> Figure:
    """Draws means over the subsets of an order on the left, and sums over them on the right.

    table: columns order, quantity (pretrain, finetune, preserved, discarded, new), mean, low, high, references, as
    means over subsets; unit: of the strengths; other: other words for references.
    """
    table = table.replace([np.inf, -np.inf], np.nan)
    figure = Figure(figsize=(11.5, 4.9), layout="constrained")
    figure.suptitle(title)
    subsets = table["order"].map(lambda order: comb(int(table["order"].max()), int(order)))
    numbers = [name for name in table.select_dtypes("number") if name != "order"]
    totals = table.assign(**{name: table[name] * subsets for name in numbers})
    halves = figure.subfigures(1, 2, width_ratios=[1, 1.13])  # names of the models stand beside the right one
    _half(halves[0], table, "mean over the subsets of an order", f"mean of |I(S)| ({unit})", other)
    last = _half(halves[1], totals, "sum over the subsets of an order", f"sum of |I(S)| ({unit})", other)
    last.text(1.03, 0.75, "↑ pre-trained\n(linear probe)", transform=last.transAxes, va="center")
    last.text(1.03, 0.25, "↓ fine-tuned", transform=last.transAxes, va="center")
    return with_legend(figure, 4)


def _half(figure: SubFigure, table: pd.DataFrame, title: str, label: str, other: Mapping[str, str] | None) -> Axes:
    """Draws order 0, then the others, each on its own scale. Returns the last panel."""
    figure.suptitle(title, fontsize=11.5)
    parts = [rows for rows in (table[table["order"] == 0], table[table["order"] > 0]) if len(rows)]
    counts = [rows["order"].nunique() for rows in parts]
    panels = figure.subplots(1, len(parts), width_ratios=[max(count, 0.14 * max(counts)) for count in counts],
                             squeeze=False)[0]  # fmt: skip
    for axes, rows, count in zip(panels, parts, counts, strict=True):
        _mirrored(axes, rows, other, size=float(np.clip(42 / count, 2.2, 4.5)))
        orders = sorted(set(rows["order"]))
        names = f"order{'s' * (count > 1)} {orders[0]}" + f" to {orders[-1]}" * (count > 1)
        axes.set_title(f"{names}\n(own scale)" if len(parts) > 1 else names, fontsize=9.5)
    if len(parts) > 1:
        panels[0].set_facecolor(APART)
    elif counts == [1]:  # one bar does not fill the panel
        panels[0].set_xlim(*table["order"].iloc[0] + np.array([-1.5, 1.5]))
    panels[0].set_ylabel(label)
    panels[-1].set_xlabel("order |S| (number of variables)")
    return panels[-1]


def _mirrored(axes: Axes, table: pd.DataFrame, other: Mapping[str, str] | None, size: float) -> None:
    rows = {quantity: part.set_index("order").sort_index() for quantity, part in table.groupby("quantity")}
    inner = rows["preserved"]
    among = levels(inner)
    orders = inner.index.to_numpy(float)
    for side, segment, whole in ((+1, "discarded", "pretrain"), (-1, "new", "finetune")):
        axes.bar(orders, side * inner["mean"], WIDTH, color=COLOURS["preserved"], label="preserved")
        axes.bar(
            orders, side * rows[segment]["mean"], WIDTH, side * inner["mean"], color=COLOURS[segment], label=segment
        )
        for shift, ended in ((-0.14, inner), (0.14, rows[whole])):  # side by side, for short outer segments
            axes.vlines(orders + shift, side * ended["low"], side * ended["high"], color="black", zorder=5)
    axes.axhline(0, color="black", linewidth=1)
    values = table[["mean", "high"]].to_numpy(float), inner[among].to_numpy(float)
    reach = 1.05 * max(np.nan_to_num(part).max(initial=0) for part in values) or 1.0
    reference_marks(axes, orders, inner.where(inner["mean"] > THIN * reach), among, 0.46, other, size=size)
    axes.set_ylim(-reach, reach)  # both models on one scale
    axes.set_xlim(orders[0] - 0.6, orders[-1] + 0.6)
    axes.set_xticks(orders, [f"{order:g}" for order in orders])
    axes.yaxis.set_major_formatter(lambda y, _: f"{abs(y):g}")
