"""One figure per measure: a function takes its tidy table and returns a Figure.

Tables carry `mean, low, high, chance`: low and high bound a 95 % bootstrap interval over samples, chance is
the same quantity when the second model's interactions are permuted. Any of these three may be NaN and is
then not drawn. `decomposition`, `ratio` and `jaccard` are Figs. 2, 3 and 4 of arXiv 2410.08455.
"""

from math import comb

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from analysis.drawing.style import COLOURS, MARKERS, NAMES, STYLE, curves, level, level_marks, panels, with_legend

PAPER_RATIO = (0.13, 0.45)  # section 3.2.2
DEFINITIONS = {
    "paper": "as in the paper:\nmean over all S, 0/0 = 0",
    "positive": "mean over S with\npreserved > 0",
    "weighted": "weighted by strength:\nΣ min / Σ preserved",
}


@rc_context(STYLE)
def decomposition(table: pd.DataFrame, unit: str = "log-odds") -> Figure:
    """Mirrored stacks per order: pre-trained above the axis, fine-tuned below, preserved innermost.

    Left as the paper draws it, per subset; right summed over the subsets of an order, n over |S| of them: an order
    whose interactions are weak one by one may hold most of the strength.
    """
    figure, (each, summed) = panels("What fine-tuning keeps, drops and adds, per order", 2, height=4.9)
    _mirrored(each, table, f"mean strength |I(S)| per subset ({unit})")
    n = int(table["order"].max())
    subsets = table["order"].map(lambda order: comb(n, int(order)))
    totals = table.assign(**{column: table[column] * subsets for column in ("mean", "low", "high", "chance")})
    _mirrored(summed, totals, f"strength |I(S)| summed over the order ({unit})")
    summed.text(1.02, 0.75, "↑ pre-trained\n(linear probe)", transform=summed.transAxes, va="center")
    summed.text(1.02, 0.25, "↓ fine-tuned", transform=summed.transAxes, va="center")
    return with_legend(figure, 4)


def _mirrored(axes: Axes, table: pd.DataFrame, label: str) -> None:
    rows = {quantity: part.set_index("order").sort_index() for quantity, part in table.groupby("quantity")}
    _half(axes, rows["preserved"], rows["discarded"], rows["pretrain"], +1)
    _half(axes, rows["preserved"], rows["new"], rows["finetune"], -1)
    axes.axhline(0, color="black", linewidth=1)
    reach = 1.05 * np.nanmax(table[["mean", "high", "chance"]].to_numpy(dtype=float)) or 1.0
    axes.set_ylim(-reach, reach)  # both models on one scale
    axes.set_xticks(rows["preserved"].index)
    axes.yaxis.set_major_formatter(lambda y, _: f"{abs(y):g}")
    axes.set(xlabel="order |S| (number of variables)", ylabel=label)


def _half(axes: Axes, inner: pd.DataFrame, outer: pd.DataFrame, total: pd.DataFrame, side: int) -> None:
    orders = inner.index.to_numpy(dtype=float)
    segment = "discarded" if side > 0 else "new"
    axes.bar(orders, side * inner["mean"], 0.74, color=COLOURS["preserved"], label="preserved")
    axes.bar(orders, side * outer["mean"], 0.74, side * inner["mean"], color=COLOURS[segment], label=segment)
    for shift, end in ((-0.14, inner), (0.14, total)):  # side by side, for short outer segments
        axes.vlines(orders + shift, side * end["low"], side * end["high"], color="black", zorder=5)
    level_marks(axes, orders, side * inner["chance"], 0.46, "preserved by chance")


@rc_context(STYLE)
def ratio(table: pd.DataFrame) -> Figure:
    """Share of the preserved knowledge that training from scratch finds as well, in three readings."""
    figure, (axes,) = panels("How much of the preserved knowledge training from scratch finds too")
    rows = table.set_index("definition").reindex(list(DEFINITIONS))
    x = np.arange(len(rows), dtype=float)
    colour = COLOURS["scratch"]
    axes.axhspan(*PAPER_RATIO, color=colour, alpha=0.13, linewidth=0, label="paper reports 13% to 45%")
    axes.bar(x, rows["mean"], 0.5, color=colour, label="ratio, with 95% interval")
    axes.vlines(x, rows["low"], rows["high"], color="black", zorder=5)
    level_marks(axes, x, rows["chance"], 0.33, "chance")
    numbers = [f"{m:.1%} (chance {c:.1%})" for m, c in zip(rows["mean"], rows["chance"], strict=True)]
    names = [f"{DEFINITIONS[name]}\n{number}" for name, number in zip(rows.index, numbers, strict=True)]
    axes.set_xticks(x, [name.replace("nan%", "–") for name in names])
    axes.set(ylim=(0, max(0.5, 1.08 * np.nanmax(rows[["mean", "high", "chance"]]))), ylabel="ratio")
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    return with_legend(figure, 3)


@rc_context(STYLE)
def jaccard(table: pd.DataFrame) -> Figure:
    """Jaccard similarity of the interactions after each epoch and after the last one."""
    figure, (axes,) = panels("How soon the models hold the knowledge they end with")
    curves(axes, table)
    axes.set(ylim=(0, 1.03), ylabel="Jaccard similarity to the last epoch")
    return with_legend(figure, 4)


def convergence(table: pd.DataFrame) -> Figure:
    """Test accuracy and loss over epochs; the linear probe's last value as a line."""
    title = "How fast and how far the models learn the target task (test set)"
    return _two_panels(title, table, {"accuracy": "accuracy", "loss": "cross-entropy (nats)"}, "probe")


def faithfulness(table: pd.DataFrame) -> Figure:
    """Share of salient interactions, and R² of all values rebuilt from these alone (Theorem 3.1)."""
    labels = {
        "salient_share": "salient share of all subsets",
        "rebuilt": "R² of values rebuilt from the salient",
    }
    figure = _two_panels("Are few interactions enough to explain the models?", table, labels, "pretrain")
    rebuilt = figure.axes[1]
    if rebuilt.get_ylim()[0] < -1:  # the fit of what is not rebuilt at all can be arbitrarily bad
        rebuilt.set_yscale("symlog", linthresh=1, subs=(2, 5))
        rebuilt.set_ylabel("R² of values rebuilt from the salient\n(logarithmic below -1)")
        rebuilt.set_yticks([1, 0.5, 0, -0.5, *(-(10.0**k) for k in range(4) if -(10**k) > rebuilt.get_ylim()[0])])
        rebuilt.yaxis.set_major_formatter(lambda y, _: f"{y:g}")
    return figure


@rc_context(STYLE)
def noise(table: pd.DataFrame) -> Figure:
    """Mean strength per order against the numerical noise in it, at each model's last epoch."""
    figure, (axes,) = panels("Interactions against the numerical noise in them, per order", height=4.6)
    models = [name for name in MARKERS if name in set(table["model"])]
    for model in models:
        rows = table[table["model"] == model]
        rows = rows[rows["epoch"] == rows["epoch"].max()].sort_values("order")
        for quantity, line, face in (("strength", "-", COLOURS[model]), ("noise", "--", "white")):
            y = rows[quantity].where(rows[quantity] > 0)  # a log axis has no place for 0
            style = {"color": COLOURS[model], "linestyle": line, "marker": MARKERS[model]}
            axes.plot(rows["order"], y, **style, markerfacecolor=face, label=f"{NAMES[model]}: {quantity}")
    axes.set_xticks(sorted(set(table["order"])))
    axes.set(yscale="log", xlabel="order |S| (number of variables)", ylabel="mean |I(S)|, noise (log-odds)")
    return with_legend(figure, len(models))


@rc_context(STYLE)
def _two_panels(title: str, table: pd.DataFrame, labels: dict[str, str], apart: str) -> Figure:
    """A panel for each quantity in `labels`; the model `apart` has no epochs in common: its last value."""
    figure, both = panels(title, len(labels))
    for axes, (quantity, label) in zip(both, labels.items(), strict=True):
        rows = table[table["quantity"] == quantity]
        others = rows[rows["model"] != apart]
        curves(axes, others)
        if others.empty:  # a level alone has no epochs
            axes.set_xticks([])
        for _, last in rows[rows["model"] == apart].sort_values("epoch").tail(1).iterrows():
            shared = not others.empty and np.allclose(others["chance"].dropna(), last["chance"])
            level(axes, last, shared=shared)
        axes.set_ylabel(label)
    both[0].yaxis.set_major_formatter(PercentFormatter(1))
    return with_legend(figure, 6)
