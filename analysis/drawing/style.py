"""How all figures are drawn: colours, styles, panels, chance levels, legend, files. It uses no global state."""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib import patheffects, rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

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
}
LINES = {"finetune": "-", "scratch": "-."}
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
    """Writes `name.png` (150 dpi) and `name.svg` (text as paths), always with the same bytes; returns the paths."""
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


def level_marks(axes: Axes, x: np.ndarray, y: pd.Series, reach: float, label: str) -> None:
    """Draws short grey lines across bars, edged in white so that they are visible on every bar's colour."""
    if y.isna().all():
        return
    grey = {"color": COLOURS["chance"], "linewidth": 2, "zorder": 4}
    outline = [patheffects.withStroke(linewidth=3.4, foreground="white")]
    axes.hlines(y, x - reach, x + reach, **grey, path_effects=outline, label=label)


def with_legend(figure: Figure, columns: int) -> Figure:
    """Adds one legend below all panels, where it covers no data; equal names appear once."""
    found = {}
    for axes in figure.axes:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    names = sorted(found, key=lambda name: "chance" in name)
    handles = [found[name] for name in names]
    figure.legend(handles, names, loc="outside lower center", ncols=columns, fontsize=9.5)
    return figure
