"""How all figures are drawn: colours, styles, curves, chance levels, legend, files. No pyplot, no global state."""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib import patheffects, rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from stages.files import written

COLOURS = {
    "discarded": "#0072B2",
    "preserved": "#E69F00",
    "new": "#009E73",
    "pretrain": "#333333",
    "finetune": "#D55E00",
    "scratch": "#8B5FBF",
    "chance": "#8A8A8A",
}
NAMES = {
    "pretrain": "pre-trained",
    "finetune": "fine-tuned",
    "scratch": "from scratch",
    "probe": "linear probe",
}
LINES = {"finetune": "-", "scratch": "-."}
CHANCE_LINES = {"finetune": "--", "scratch": ":"}
MARKERS = {"pretrain": "D", "finetune": "o", "scratch": "s"}
STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": 10.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.titlesize": 12.5,
    "lines.markersize": 5,
    "legend.frameon": False,
    "svg.fonttype": "path",
    "svg.hashsalt": "pretraining-interactions",
}


def save(figure: Figure, folder: str | Path, name: str) -> tuple[Path, Path]:
    """Writes `name.png` (150 dpi) and `name.svg` (text as paths), always the same bytes; returns the paths."""
    paths = Path(folder, f"{name}.png"), Path(folder, f"{name}.svg")
    for path, metadata in zip(paths, ({}, {"Date": None}), strict=True):
        with rc_context(STYLE), written(path) as beside:
            figure.savefig(beside, format=path.suffix[1:], dpi=150, facecolor="white", metadata=metadata)
    return paths


def panels(title: str, count: int = 1, height: float = 4.4) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(7.6 if count == 1 else 10.5, height), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.08, h_pad=0.07)
    figure.suptitle(title)
    return figure, list(figure.subplots(1, count, squeeze=False)[0])


def curves(axes: Axes, table: pd.DataFrame) -> None:
    if table.empty:
        return
    for model in [name for name in LINES if name in set(table["model"])]:
        rows = table[table["model"] == model].sort_values("epoch")
        colour, epochs = COLOURS[model], rows["epoch"]
        style = {"linestyle": LINES[model], "marker": MARKERS[model], "markevery": 1 + len(rows) // 25}
        axes.plot(epochs, rows["mean"], color=colour, **style, label=NAMES[model])
        axes.fill_between(epochs, rows["low"], rows["high"], color=colour, alpha=0.2, linewidth=0)
        if len(rows) == 1:  # a band of no width is not seen
            axes.vlines(epochs, rows["low"], rows["high"], color=colour)
    _chances(axes, table)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    first, last = table["epoch"].min(), table["epoch"].max()
    axes.set_xlim(first - max(0.4, 0.03 * (last - first)), last + max(0.4, 0.03 * (last - first)))
    axes.set_xlabel("epoch")


def _chances(axes: Axes, table: pd.DataFrame) -> None:
    """Chance per model and epoch, as one line where the models share it."""
    wide = table.pivot(index="epoch", columns="model", values="chance").dropna(axis=1, how="all")
    if wide.empty:
        return
    if np.allclose(wide.max(axis=1), wide.min(axis=1), rtol=1e-6, equal_nan=True):
        levels = {"chance": (wide.mean(axis=1), "--")}
    else:
        levels = {f"chance ({NAMES[name]})": (wide[name], CHANCE_LINES[name]) for name in wide}
    for label, (level, line) in levels.items():
        level = level.dropna()
        mark = "_" if len(level) == 1 else ""
        axes.plot(level.index, level, line + mark, color=COLOURS["chance"], markersize=14, label=label)


def level(axes: Axes, row: pd.Series, shared: bool) -> None:
    """A horizontal line with its interval, and its chance unless the curves have the same (`shared`)."""
    name = NAMES[row["model"]]
    axes.axhline(row["mean"], color=COLOURS["pretrain"], linestyle=(0, (5, 3)), label=name)
    if np.isfinite([row["low"], row["high"]]).all():
        axes.axhspan(row["low"], row["high"], color=COLOURS["pretrain"], alpha=0.1, linewidth=0)
    if np.isfinite(row["chance"]) and not shared:
        axes.axhline(row["chance"], color=COLOURS["chance"], linestyle=(0, (1, 3)), label=f"chance ({name})")


def level_marks(axes: Axes, x: np.ndarray, y: pd.Series, reach: float, label: str) -> None:
    """Short grey lines across bars, edged in white so that they are seen on every bar's colour."""
    if y.isna().all():
        return
    grey = {"color": COLOURS["chance"], "linewidth": 2, "zorder": 4}
    outline = [patheffects.withStroke(linewidth=3.4, foreground="white")]
    axes.hlines(y, x - reach, x + reach, **grey, path_effects=outline, label=label)


def with_legend(figure: Figure, columns: int) -> Figure:
    """One legend below all panels, where it covers no data; equal names appear once."""
    found = {}
    for axes in figure.axes:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    names = sorted(found, key=lambda name: "chance" in name)
    handles = [found[name] for name in names]
    figure.legend(handles, names, loc="outside lower center", ncols=columns, fontsize=9.5)
    return figure
