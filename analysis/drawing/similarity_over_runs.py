"""Draws how similar layers are over runs: bars per layer and setting, curves over epochs, and the two starts.

Bars stand for settings (conditions, such as the degree of randomness of the labels). The thick part of a bar's line is
the standard error of the mean, as papers give it; the thin line is the 95 % interval, with five runs nearly three times
as long. Grey marks are levels: a random move of the weights of equal norm, and another fine-tuning from the same start.
"""

from collections.abc import Sequence
from textwrap import fill

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.drawing.few_settings import HATCHES, HUES
from analysis.drawing.references import levels, reference_marks
from analysis.drawing.similarity import PAIR, SHORT, WIDE, curves, same_height, versus
from analysis.drawing.style import COLOURS, LINE, REFERENCE, STYLE, legend_columns, with_legend

LEVELS = ("random", "another_training")
WIDEST = 18.0  # inches
BAR = 0.085  # inches, at least
ROWS, PANELS, ACROSS = 6, 12, 3
STARTS = {"pretrain": ("against pre-trained", COLOURS["finetune"], "o", "-"),
          "initial": ("against initial", COLOURS["scratch"], "s", (0, (5, 2)))}  # fmt: skip


@rc_context(STYLE)
def bars(rows: pd.DataFrame, labels: Sequence[str], legend: str = "") -> Figure:
    """Draws a panel for each two models that are compared. rows: setting (number of its label), model, against, layer,
    mean, standard_error, low, high, and perhaps the LEVELS; legend: what stands in front of the labels."""
    pairs, layers = _pairs(rows), list(dict.fromkeys(rows["layer"]))
    width = float(np.clip(BAR * len(layers) * (len(labels) + 1), 10.5, WIDEST))
    names = [fill(f"{legend}={label}" if legend else label, 85) for label in labels]
    below = LINE * (3 + -(-sum(name.count("\n") + 1 for name in names) // legend_columns(width, names)))
    made = _figure("How similar are the layers of two models at the last epoch? (CKA)", width, 2.5 * len(pairs) + below)
    every = list(made.subplots(len(pairs), 1, squeeze=False, sharex=True)[:, 0])
    for axes, pair in zip(every, pairs, strict=True):
        of = rows[(rows[PAIR] == list(pair)).all(axis=1)]
        _bars(axes, of, layers, names)
        axes.set_title(versus(*pair), fontsize=10.5)
    low, high = (of(axes.get_ylim()[side] for axes in every) for side, of in ((0, min), (1, max)))
    for axes in every:
        axes.set_ylim(min(low, 0.0), max(high, 1.02))
    _lengths(every[0])
    return with_legend(made, 6)


def _figure(title: str, width: float, height: float) -> Figure:
    made = Figure(figsize=(width, height + 0.9), layout="constrained")
    made.get_layout_engine().set(w_pad=0.08, h_pad=0.07)
    made.suptitle(fill(title, int(10.5 * width)))
    return made


def _pairs(rows: pd.DataFrame) -> list[tuple[str, str]]:
    return list(rows[PAIR].drop_duplicates().itertuples(index=False, name=None))


def _bars(axes: Axes, rows: pd.DataFrame, layers: Sequence[str], names: Sequence[str]) -> None:
    width, among = 0.84 / len(names), _known(rows, LEVELS)
    for setting, of in rows.groupby("setting"):
        at = np.array([layers.index(layer) for layer in of["layer"]]) + (setting - (len(names) - 1) / 2) * width
        style = {"color": HUES[setting % len(HUES)], "hatch": HATCHES[setting // len(HUES) % len(HATCHES)]}
        axes.bar(at, of["mean"], 0.94 * width, edgecolor="white", linewidth=0, label=names[setting], **style)
        axes.vlines(at, of["low"], of["high"], color="black", linewidth=0.9, zorder=4.8)
        error = of["standard_error"].to_numpy(float)
        axes.vlines(at, of["mean"] - error, of["mean"] + error, color="black", linewidth=2.6, zorder=4.8)
        reference_marks(axes, at, of, among, 0.47 * width, size=3.5)
    axes.axhline(0, color="black", linewidth=0.8)
    axes.set_xticks(range(len(layers)), layers, **_turned(layers, axes))
    axes.tick_params(axis="x", length=0)
    axes.set(ylabel="CKA", xlim=(-0.6, len(layers) - 0.4))


def _known(rows: pd.DataFrame, among: Sequence[str]) -> list[str]:
    return levels(rows, [name for name in among if name in rows])


def _turned(layers: Sequence[str], axes: Axes) -> dict[str, object]:
    """Returns how names stand below an axis: upright where they would touch."""
    room = 13 * axes.figure.get_figwidth() / axes.get_gridspec().ncols  # characters
    turned = {"rotation": 90} if sum(len(layer) + 2 for layer in layers) > room else {}
    return turned | {"fontsize": 8.5 if len(layers) <= WIDE else 7}


def _lengths(axes: Axes) -> None:
    for words, width in (("thick: standard error", 2.6), ("thin: 95 % interval", 0.9)):
        axes.add_line(Line2D([], [], color="black", linewidth=width, label=words, gid=REFERENCE))


@rc_context(STYLE)
def over_epochs(rows: pd.DataFrame, labels: Sequence[str]) -> Figure:
    """Draws a line for each layer over epochs, a row of panels for each setting. rows: setting, model, against, layer,
    epoch, mean, low, high (over runs), and perhaps random."""
    pairs, layers, there = _pairs(rows), list(dict.fromkeys(rows["layer"])), list(dict.fromkeys(rows["setting"]))
    left = f" (the first {ROWS} of {len(there)} settings)" if len(there) > ROWS else ""
    shown = there[:ROWS]
    below = LINE * -(-(len(layers) + 3) // 4)
    width = 7.6 if len(pairs) == 1 else 3.9 * len(pairs)
    title = f"How similar are the layers of two models, epoch by epoch? (CKA){left}"
    made = _figure(title, width, 2.7 * len(shown) + below)
    grid = made.subplots(len(shown), len(pairs), squeeze=False)
    for line, setting in zip(grid, shown, strict=True):
        for axes, pair in zip(line, pairs, strict=True):
            of = rows[(rows[["setting", *PAIR]] == [setting, *pair]).all(axis=1)]
            if of.empty:
                axes.remove()
                continue
            curves(axes, of, layers)
            axes.set_title("\n".join(filter(None, [fill(labels[setting], 38), versus(*pair)])), fontsize=9.5)
    same_height(made.axes)
    return with_legend(made, 4)


@rc_context(STYLE)
def two_starts(rows: pd.DataFrame, labels: Sequence[str]) -> Figure:
    """Draws for each setting how near the fine-tuned model is to the pre-trained and to the initial one. rows: as those
    of `bars`."""
    rows = rows[(rows["model"] == "finetune") & rows["against"].isin(STARTS)]
    there, layers = list(dict.fromkeys(rows["setting"])), list(dict.fromkeys(rows["layer"]))
    shown = there[:PANELS]
    left = f" (the first {PANELS} of {len(there)} settings)" if len(there) > PANELS else ""
    across = min(len(shown), ACROSS)
    down = -(-len(shown) // across)
    title = f"Is the fine-tuned model closer to the pre-trained or to the initial one?{left}"
    made = _figure(title, 7.6 if across == 1 else 10.5, 2.9 * down + 0.6)
    grid = made.subplots(down, across, squeeze=False)
    for axes, setting in zip(grid.flat, shown, strict=False):
        _two_starts(axes, rows[rows["setting"] == setting], layers)
        axes.set_title(fill(labels[setting], 34), fontsize=10.5)
    for axes in list(grid.flat)[len(shown) :]:
        axes.remove()
    same_height(made.axes)
    _lengths(made.axes[0])
    return with_legend(made, 4)


def _two_starts(axes: Axes, rows: pd.DataFrame, layers: Sequence[str]) -> None:
    for side, (against, (name, hue, mark, dashes)) in enumerate(STARTS.items()):
        of = rows[rows["against"] == against]
        at = np.array([layers.index(layer) for layer in of["layer"]], dtype=float)
        axes.plot(at, of["mean"], color=hue, marker=mark, markersize=3.5, linestyle=dashes, label=name, zorder=3)
        beside, error = at + 0.1 * (2 * side - 1), of["standard_error"].to_numpy(float)
        axes.vlines(beside, of["low"], of["high"], color=hue, linewidth=0.9)
        axes.vlines(beside, of["mean"] - error, of["mean"] + error, color=hue, linewidth=2.6)
        reference_marks(axes, at + 0.22 * (2 * side - 1), of, _known(of, LEVELS[:1]), 0.13, size=3.5)
    few = [layer if len(layer) <= SHORT else f"...{layer[3 - SHORT :]}" for layer in layers]
    axes.set_xticks(range(len(layers)), few, **_turned(few, axes))
    axes.set(ylabel="CKA", xlim=(-0.4, len(layers) - 0.6))
