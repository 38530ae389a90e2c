"""Draws whether scores rank the epochs of pre-training: LogME against accuracies, and Kendall's tau of all rankers."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib import colormaps, rc_context
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator

from analysis.drawing.epochs import WIDELY
from analysis.drawing.style import STYLE, panels, with_legend

KINDS = (("#0072B2", "o", "a score"), ("#D55E00", "D", "no score: the epoch, source accuracy"))
TICKS, SIZE = 6, 8.5  # along the bar; points


@rc_context(STYLE)
def scatter(points: pd.DataFrame, targets: Mapping[str, str], taus: Mapping[str, str]) -> Figure:
    """Draws LogME against each target's accuracy, a panel for each. points: target, seed, epoch, score, accuracy;
    targets: in words; taus: what stands below their names."""
    there = [target for target in targets if target in set(points["target"])]
    figure, every = panels("Does LogME say from which epoch to transfer?", len(there), height=4.4)
    epochs = np.unique(points["epoch"])
    wide = epochs[0] > 0 and epochs[-1] > WIDELY * epochs[0]
    colour = {"cmap": colormaps["viridis"], "norm": (LogNorm if wide else Normalize)(epochs[0], epochs[-1])}
    for axes, target in zip(every, there, strict=True):
        rows = points[points["target"] == target]
        if rows["seed"].nunique() > 1:
            axes.scatter(rows["score"], rows["accuracy"], c=rows["epoch"], **colour, s=14, alpha=0.55, linewidth=0)
        mean = rows.groupby("epoch", as_index=False)[["score", "accuracy"]].mean()
        axes.plot(mean["score"], mean["accuracy"], color="#B5B5B5", linewidth=0.9, zorder=1.5)
        image = axes.scatter(mean["score"], mean["accuracy"], c=mean["epoch"], **colour, s=70, edgecolors="black",
                             linewidth=0.7, zorder=3)  # fmt: skip
        axes.set_title("\n".join(filter(None, [targets[target], taus.get(target, "")])), fontsize=10.5)
        axes.set_xlabel("LogME")
        axes.xaxis.set_major_locator(MaxNLocator(4))
        axes.yaxis.set_major_formatter(lambda share, _: f"{100 * share:.4g}")
        axes.margins(0.08)
    every[0].set_ylabel("accuracy (%)")
    bar = figure.colorbar(image, ax=every, pad=0.02, aspect=30, label="pre-training epoch")
    shown = epochs[:: -(-len(epochs) // TICKS)]
    bar.ax.yaxis.set_major_locator(FixedLocator(shown))
    bar.ax.yaxis.set_minor_locator(NullLocator())
    bar.ax.set_yticklabels([f"{epoch:g}" for epoch in shown])
    return figure


@rc_context(STYLE)
def ranks(table: pd.DataFrame, targets: Mapping[str, str], rankers: Mapping[str, str], trivial: tuple) -> Figure:
    """Draws tau and regret of each ranker, best first, a column for each target. table: target, ranker, tau and regret
    with _low and _high, p; targets, rankers: in words; trivial: rankers that take no score."""
    there = [target for target in targets if target in set(table["target"])]
    most = table.groupby("target").size().max()
    width = max(6.0, 4.0 * len(there))
    figure = Figure(figsize=(width, 2 * (0.36 * most + 1.0) + 0.7), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.08, h_pad=0.07)
    figure.suptitle("Which score ranks the epochs of pre-training?")
    grid = figure.subplots(2, len(there), squeeze=False)
    for column, target in zip(grid.T, there, strict=True):
        rows = table[table["target"] == target].reset_index(drop=True)
        column[0].set_title(targets[target], fontsize=10.5)
        for axes, name, scale in zip(column, ("tau", "regret"), (1, 100), strict=True):
            _points(axes, rows, name, scale, rankers, trivial)
        column[0].set_xlim(-1.08, 1.08)
        column[0].axvline(0, color="black", linewidth=0.8)
        column[0].set_xlabel("Kendall's tau")
        column[1].set_xlim(left=min(0.0, column[1].get_xlim()[0]))
        column[1].xaxis.set_major_locator(MaxNLocator(4))
        column[1].set_xlabel("regret (points)")
    return with_legend(figure, 2)


def _points(
    axes: Axes, rows: pd.DataFrame, name: str, scale: float, rankers: Mapping[str, str], trivial: tuple
) -> None:
    value, low, high = (scale * rows[f"{name}{end}"] for end in ("", "_low", "_high"))
    for is_trivial, (colour, mark, label) in enumerate(KINDS):
        of = rows["ranker"].isin(trivial) == is_trivial
        at = np.flatnonzero(of)
        axes.hlines(at, low[of], high[of], color=colour, linewidth=1.4)
        axes.plot(value[of], at, mark, color=colour, markersize=6, label=label, clip_on=False)
    axes.set_yticks(range(len(rows)), [rankers[ranker] for ranker in rows["ranker"]], fontsize=SIZE)
    for at, p in enumerate(rows["p"] if name == "tau" else ()):
        axes.annotate(f"p {p:.2g}" if np.isfinite(p) else "", (1.02, at), xycoords=axes.get_yaxis_transform(),
                      va="center", fontsize=SIZE)  # fmt: skip
    axes.set_ylim(len(rows) - 0.5, -0.5)
