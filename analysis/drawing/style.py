"""How all figures are drawn: colours, styles, panels, legend, files. It uses no global state."""

from pathlib import Path

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from stages.files import written

COLOURS = {
    "discarded": "#0072B2",
    "preserved": "#E69F00",
    "new": "#009E73",
    "pretrain": "#333333",
    "finetune": "#D55E00",
    "scratch": "#8B5FBF",
    "reference": "#5F5F5F",
}
REFERENCE = "reference"  # marks its lines (analysis/drawing/references.py)
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
LINE = 0.21  # inches, of a legend


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


def with_legend(figure: Figure, columns: int) -> Figure:
    """Adds one legend below all panels, where it covers no data; equal names appear once, and references come last.
    columns: the most that there may be."""
    found = {}
    for axes in figure.axes:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    names = sorted(found, key=lambda name: is_reference(found[name]))
    width, height = figure.get_size_inches()
    columns = legend_columns(width, names, columns)
    figure.set_size_inches(width, height + LINE * (-(-len(names) // columns) - 1))
    handles = [found[name] for name in names]
    figure.legend(handles, names, loc="outside lower center", ncols=columns, fontsize=9.5)
    return figure


def is_reference(handle: object) -> bool:
    return isinstance(handle, Line2D) and handle.get_gid() == REFERENCE


def legend_columns(width: float, labels: list[str], most: int = 6) -> int:
    """Returns how many columns of labels fit beside each other; width in inches."""
    for columns in range(min(most, len(labels)), 1, -1):
        parts = np.array_split(labels, columns)  # as Matplotlib fills them
        if sum(max(map(len, part)) + 8 for part in parts) <= 12.5 * width:
            return columns
    return 1
