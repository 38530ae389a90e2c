"""Draws the same kind of figure for any measure over runs, from its tables alone.

Each combination of the keys that are words, such as model and quantity, has a panel. Its x axis is the numeric key
with the most values (epoch, order), and a line is a setting. Without such a key (three definitions of a ratio), a
setting is a bar, or, where settings differ in a number alone, a point along that number. More settings than colours
can tell apart are rows with their names, in a heat map or as intervals.
"""

from collections.abc import Mapping, Sequence
from textwrap import fill

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.drawing import along_settings, few_settings, many_settings
from analysis.drawing.beyond import without_far_ones
from analysis.drawing.references import levels
from analysis.drawing.references import words as in_words
from analysis.drawing.style import LINE, NAMES, STYLE, legend_columns

MANY = 12  # settings; more have no colours of their own
WIDEST = 85  # characters in a line of a legend
MOST = 24  # panels
ACROSS = 3
PER_INCH, BETWEEN = 12, 0.6  # characters of a panel's title; inches between panels


@rc_context(STYLE)
def draw(
    over: pd.DataFrame, by_run: pd.DataFrame, keys: list[str], references: list[str], labels: list[str], title: str,
    legend: str = "", words: Mapping[str, str] = NAMES, settings: Sequence[object] = (),
) -> Figure:  # fmt: skip
    """Draws a measure's figure. over: columns setting (number of its label), keys, runs, mean, low, high,
    references; by_run: setting, run, keys, mean; references: of these columns, excesses, their intervals, and what is
    at equal strengths are not drawn; legend: what stands above the labels; words: names for values of keys, in the
    titles of panels, and for references; settings: their values, if they differ in one key, called `legend`."""
    many = len(labels) > MANY
    labels = labels if many else [fill(label, WIDEST) for label in labels]
    kinds = (many_settings.heat_map, many_settings.forest) if many else (few_settings.curves, few_settings.bars)
    named = many_settings.with_names if many else few_settings.with_names
    over, by_run = (table.replace([np.inf, -np.inf], np.nan) for table in (over, by_run))
    x = _numeric(over, keys)
    drawn = {name: in_words(name, words) for name in levels(over, references)}
    along = x is None and not many and along_settings.are_along(settings)
    apart = [key for key in keys if key != x and over[key].nunique() > 1 and not _is_number(over[key])]
    combinations = _combinations(over, apart)
    shown = combinations[:MOST]
    left = f" (the first {MOST} of {len(combinations)} panels)" if len(combinations) > MOST else ""
    crossed = len(apart) == 2 and len(combinations) == over[apart[0]].nunique() * over[apart[1]].nunique()
    below = ([] if many else labels) + list(drawn.values())
    across = over[apart[0]].nunique() if crossed else 0
    figure, every = _grid(len(shown), title + left, labels, below, across)
    lines = max(
        (_title(values, words, figure, axes).count("\n") for axes, values in zip(every, shown, strict=True)), default=0
    )
    figure.set_figheight(figure.get_figheight() + lines * LINE * every[0].get_gridspec().nrows)
    for axes, values in zip(every, shown, strict=True):
        chosen = dict(zip(apart, values, strict=True))
        panel, runs = (_rows(table, chosen) for table in (over, by_run))
        axes.set_title(_title(values, words, figure, axes), fontsize=10.5)
        if along:
            along_settings.points(axes, panel, runs, settings, drawn, legend)
        else:
            kinds[x is None](axes, panel, runs, x, drawn, labels)
    _scale(
        [(axes, _of(values, apart)) for axes, values in zip(every, shown, strict=True)],
        many,
        along or (bool(x) and not many),
        x != "epoch",
    )
    return named(figure, labels, drawn, "" if along else legend)


def _title(values: tuple, words: Mapping[str, str], figure: Figure, axes: Axes) -> str:
    """Returns the title of a panel, in lines that are no longer than the panel."""
    text = ", ".join(words.get(value, str(value).replace("_", " ")) for value in values)
    return fill(text, int(PER_INCH * (figure.get_figwidth() / axes.get_gridspec().ncols - BETWEEN)))


def _numeric(over: pd.DataFrame, keys: list[str]) -> str | None:
    counts = {key: over[key].nunique() for key in keys if _is_number(over[key])}
    best = max(counts, key=counts.get, default=None)
    return best if best and counts[best] > 1 else None


def _is_number(column: pd.Series) -> bool:
    return pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)


def _combinations(over: pd.DataFrame, apart: list[str]) -> list[tuple]:
    """Returns the combinations that occur, by the last key first: panels of one quantity are side by side."""
    there = [tuple(row) for row in over[apart].drop_duplicates().to_numpy(dtype=object)]
    places = {key: list(dict.fromkeys(over[key])) for key in apart}
    return sorted(
        there, key=lambda row: [places[key].index(value) for key, value in zip(apart, row, strict=True)][::-1]
    )


def _rows(table: pd.DataFrame, chosen: dict[str, object]) -> pd.DataFrame:
    for key, value in chosen.items():
        table = table[table[key] == value]
    return table


def _of(values: tuple, apart: list[str]) -> object:
    """Returns the quantity of a panel, as panels of one quantity share a scale; without quantities, all share one."""
    return dict(zip(apart, values, strict=True)).get("quantity")


def _grid(count: int, title: str, labels: list[str], below: list[str], across: int) -> tuple[Figure, list[Axes]]:
    """Makes the figure and its axes. below: what the legend names; across: panels in a row, if that is known."""
    across = across if 1 < across <= ACROSS else min(count, 2 if count == 4 else ACROSS)
    down = -(-count // across)
    width = 7.6 if across == 1 else 10.5
    if len(labels) > MANY:
        width, height = width + 0.06 * max(map(len, labels)), down * (0.19 * len(labels) + 0.8) + 0.7
    else:
        legend = LINE * -(-len(below) // legend_columns(width, below)) + 0.4
        height = (3.7 if down == 1 else 2.9 * down + 0.4) + legend
    figure = Figure(figsize=(width, height), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.08, h_pad=0.07)
    figure.suptitle(fill(title, int(10.5 * width)))
    every = list(figure.subplots(down, across, squeeze=False).flat)
    for axes in every[count:]:
        axes.remove()
    return figure, every[:count]


def _scale(panels: list[tuple[Axes, object]], many: bool, curves: bool, by_magnitude: bool) -> None:
    """Shares scales: values are along y, or along x where settings are rows, or in the colours of a heat map."""
    for quantity in {of for _, of in panels}:
        same = [axes for axes, of in panels if of == quantity]
        images = [image for axes in same for image in axes.images if image.get_array().count()]
        if images:
            limits = np.array([image.get_clim() for image in images])
            for image in images:
                image.set_clim(limits[:, 0].min(), limits[:, 1].max())
            continue
        logarithmic = curves and by_magnitude and few_settings.by_magnitude(same)  # over epochs the scale stays linear
        if curves and not logarithmic:
            without_far_ones(same, width=38)
        limits = np.array([axes.get_xlim() if many else axes.get_ylim() for axes in same])
        for axes in same:
            (axes.set_xlim if many else axes.set_ylim)(limits[:, 0].min(), limits[:, 1].max())
