"""Draws how far the layers of a run's models move: CKA over epochs, and between all layers of two models.

A column belongs to two models that are compared: above, a line for each layer over the epochs (near 1 the layer has
hardly moved), and in grey, with the layer's mark, where a random move of the weights of equal norm would have taken it;
below, all layers of the one against all layers of the other, at the last epoch.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib import colormaps, rc_context
from matplotlib.axes import Axes
from matplotlib.colors import Colormap
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from analysis.drawing.references import style as of_reference
from analysis.drawing.references import words
from analysis.drawing.style import LINE, NAMES, STYLE, legend_columns, with_legend

RANDOM, QUANTITY, PAIR = "random", "cka", ["model", "against"]
HUES, MARKS = colormaps["viridis"], ("o", "s", "^", "D", "v", "P", "X")
PALEST = 0.92  # of the colours: the last ones are too pale on white
ACROSS, WIDE = 3, 10  # columns; layers, from which on a matrix needs more room
SHORT = 12  # characters of a layer's name below a matrix


@rc_context(STYLE)
def figure(table: pd.DataFrame, title: str = "How similar are the layers of two models? (CKA)") -> Figure:
    """table: model, against, layer, epoch, quantity (drawn is `cka`), mean, low, high, and perhaps random; in its attrs
    perhaps layers and matrix, {"finetune/pretrain": [L, L], ...}."""
    rows = table[table["quantity"] == QUANTITY] if "quantity" in table else table
    matrices, names = table.attrs.get("matrix") or {}, list(table.attrs.get("layers") or [])
    layers = list(dict.fromkeys(rows["layer"]))
    pairs = list(rows[PAIR].drop_duplicates().itertuples(index=False, name=None))
    pairs = pairs or [tuple(name.split("/", 1)) for name in matrices]
    found, above, below = _grid(title, pairs, {pair for pair in pairs if "/".join(pair) in matrices}, layers)
    for pair, axes in above.items():
        curves(axes, rows[(rows[PAIR] == list(pair)).all(axis=1)], layers)
        axes.set_title(versus(*pair), fontsize=10.5)
    same_height(list(above.values()))
    for pair, axes in below.items():
        _matrix(axes, np.asarray(matrices["/".join(pair)], float), names, *pair)
    return with_legend(found, 6)


def versus(model: str, against: str) -> str:
    """Returns such as "fine-tuned against pre-trained"."""
    return f"{named(model)} against {named(against)}"


def named(model: str) -> str:
    """Returns a model in words: finetune@5 is "fine-tuned (epoch 5)"."""
    name, _, epoch = model.partition("@")
    known = NAMES.get(name, {"initial": "initial"}.get(name, name))
    return f"{known} (epoch {epoch})" if epoch else known


def _grid(
    title: str, pairs: Sequence[tuple[str, str]], with_matrix: set[tuple[str, str]], layers: Sequence[str]
) -> tuple[Figure, dict[tuple[str, str], Axes], dict[tuple[str, str], Axes]]:
    """Returns the figure, and the axes of each pair's curves and matrix."""
    across = min(2 if len(layers) > WIDE or len(pairs) == 4 else ACROSS, max(len(pairs), 1))
    lines = [pairs[first : first + across] for first in range(0, len(pairs), across)]
    width = 7.6 if across == 1 else 5.6 * across if len(layers) > WIDE else 4.0 * across
    square = 0.86 * width / across
    kinds = [(line, kind) for line in lines for kind in ("curves", "matrix")
             if kind == "curves" or with_matrix & set(line)]  # fmt: skip
    heights = [3.2 if kind == "curves" else square for _, kind in kinds] or [1.0]
    legend = LINE * -(-(len(layers) + 1) // legend_columns(width, [*layers, words(RANDOM)]))
    made = Figure(figsize=(width, sum(heights) + 0.6 + legend), layout="constrained")
    made.get_layout_engine().set(w_pad=0.08, h_pad=0.07)
    made.suptitle(title)
    grid = made.add_gridspec(len(heights), across, height_ratios=heights)
    placed: dict[str, dict] = {"curves": {}, "matrix": {}}
    for at, (line, kind) in enumerate(kinds):
        for column, pair in enumerate(line):
            if kind == "curves" or pair in with_matrix:
                placed[kind][pair] = made.add_subplot(grid[at, column])
    return made, placed["curves"], placed["matrix"]


def curves(axes: Axes, rows: pd.DataFrame, layers: Sequence[str]) -> None:
    """Draws a line for each layer over epochs. layers: all that have a colour, in their order."""
    drawn = rows[np.isfinite(rows["mean"])]
    for at, layer in enumerate(layers):
        of = drawn[drawn["layer"] == layer].sort_values("epoch")
        if len(of):
            _of_layer(axes, of, layer, colour(at, len(layers)), MARKS[at % len(MARKS)])
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.set(xlabel="epoch", ylabel="CKA")


def colour(at: int, of: int) -> tuple:
    """Returns the colour of a layer: dark ones are early. at: its place; of: how many layers there are."""
    return HUES(PALEST * at / max(of - 1, 1))


def _of_layer(axes: Axes, of: pd.DataFrame, layer: str, hue: tuple, mark: str) -> None:
    every = 1 + len(of) // 15
    axes.plot(of["epoch"], of["mean"], color=hue, marker=mark, markevery=every, label=layer, zorder=3)
    if len(of) == 1:  # a band without width is invisible
        axes.vlines(of["epoch"], of["low"], of["high"], color=hue)
    axes.fill_between(of["epoch"], of["low"], of["high"], color=hue, alpha=0.18, linewidth=0)
    if RANDOM in of and np.isfinite(of[RANDOM]).any():
        grey = of_reference(RANDOM, [RANDOM]) | {"marker": mark, "markersize": 3.5}
        axes.plot(of["epoch"], of[RANDOM], **grey, markevery=every, label=f"{words(RANDOM)} (marks: its layer)")


def same_height(every: Sequence[Axes]) -> None:
    """Gives all panels one scale, which ends a little above 1."""
    every = [axes for axes in every if axes.lines]
    if every:
        low = min(axes.get_ylim()[0] for axes in every)
        high = max(1 + 0.03 * (1 - low), *(axes.get_ylim()[1] for axes in every))
        for axes in every:
            axes.set_ylim(low, high)


def _matrix(axes: Axes, values: np.ndarray, layers: Sequence[str], model: str, against: str) -> None:
    """values: [layers of the model, layers of what it is compared with]."""
    shades = colormaps["Blues"].with_extremes(bad="#DDDDDD")
    axes.imshow(np.ma.masked_invalid(values), cmap=shades, vmin=min(0.0, np.nanmin(values, initial=0)), vmax=1.0)
    _numbers(axes, values, shades)
    few = [name if len(name) <= SHORT else f"...{name[3 - SHORT :]}" for name in layers] or [""] * len(values)
    size = 8.5 if len(values) <= WIDE else 7
    axes.set_yticks(range(len(values)), few[: len(values)], fontsize=size)
    axes.set_xticks(range(values.shape[1]), few[: values.shape[1]], fontsize=size, rotation=90)
    axes.set(xlabel=named(against), ylabel=named(model))
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)


def _numbers(axes: Axes, values: np.ndarray, shades: Colormap) -> None:
    """Writes each number into its field; of many layers in hundredths, as they are small."""
    many = len(values) > WIDE
    for (row, column), value in np.ndenumerate(values):
        text = "" if not np.isfinite(value) else f"{100 * value:.0f}" if many else f"{value:.2f}"
        shade = "white" if value > 0.6 else "black"
        axes.text(column, row, text, ha="center", va="center", color=shade, fontsize=6 if many else 8.5)
