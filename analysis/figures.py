"""One figure per measure: a function takes its tidy table and returns a Figure (no pyplot, no global state).

Tables carry `mean, low, high, chance`: low and high bound a 95 % bootstrap interval over samples, chance is
the same quantity when the second model's interactions are permuted. Any of these three may be NaN and is
then not drawn. `decomposition`, `ratio` and `jaccard` are Figs. 2, 3 and 4 of arXiv 2410.08455.
"""

import os
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib import patheffects, rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

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
PAPER_RATIO = (0.13, 0.45)  # section 3.2.2
DEFINITIONS = {
    "paper": "as in the paper:\nmean over all S, 0/0 = 0",
    "positive": "mean over S with\npreserved > 0",
    "weighted": "weighted by strength:\nΣ min / Σ preserved",
}


@rc_context(STYLE)
def decomposition(table: pd.DataFrame) -> Figure:
    """Mirrored stacks per order: pre-trained above the axis, fine-tuned below, preserved innermost."""
    figure, (axes,) = _panels("What fine-tuning keeps, drops and adds, per order", height=4.9)
    rows = {quantity: part.set_index("order").sort_index() for quantity, part in table.groupby("quantity")}
    _half(axes, rows["preserved"], rows["discarded"], rows["pretrain"], +1)
    _half(axes, rows["preserved"], rows["new"], rows["finetune"], -1)
    axes.axhline(0, color="black", linewidth=1)
    reach = 1.05 * np.nanmax(table[["mean", "high", "chance"]].to_numpy(dtype=float)) or 1.0
    axes.set_ylim(-reach, reach)  # both models on one scale
    axes.set_xticks(rows["preserved"].index)
    axes.yaxis.set_major_formatter(lambda y, _: f"{abs(y):g}")
    axes.set(xlabel="order |S| (number of variables)", ylabel="mean strength |I(S)| per subset (log-odds)")
    axes.text(1.02, 0.75, "↑ pre-trained\n(linear probe)", transform=axes.transAxes, va="center")
    axes.text(1.02, 0.25, "↓ fine-tuned", transform=axes.transAxes, va="center")
    return _with_legend(figure, 4)


def _half(axes: Axes, inner: pd.DataFrame, outer: pd.DataFrame, total: pd.DataFrame, side: int) -> None:
    orders = inner.index.to_numpy(dtype=float)
    segment = "discarded" if side > 0 else "new"
    axes.bar(orders, side * inner["mean"], 0.74, color=COLOURS["preserved"], label="preserved")
    axes.bar(orders, side * outer["mean"], 0.74, side * inner["mean"], color=COLOURS[segment], label=segment)
    for shift, end in ((-0.14, inner), (0.14, total)):  # side by side, for short outer segments
        axes.vlines(orders + shift, side * end["low"], side * end["high"], color="black", zorder=5)
    _level_marks(axes, orders, side * inner["chance"], 0.46, "preserved by chance")


@rc_context(STYLE)
def ratio(table: pd.DataFrame) -> Figure:
    """Share of the preserved knowledge that training from scratch finds as well, in three readings."""
    figure, (axes,) = _panels("How much of the preserved knowledge training from scratch finds too")
    rows = table.set_index("definition").reindex(list(DEFINITIONS))
    x = np.arange(len(rows), dtype=float)
    colour = COLOURS["scratch"]
    axes.axhspan(*PAPER_RATIO, color=colour, alpha=0.13, linewidth=0, label="paper reports 13% to 45%")
    axes.bar(x, rows["mean"], 0.5, color=colour, label="ratio, with 95% interval")
    axes.vlines(x, rows["low"], rows["high"], color="black", zorder=5)
    _level_marks(axes, x, rows["chance"], 0.33, "chance")
    numbers = [f"{m:.1%} (chance {c:.1%})" for m, c in zip(rows["mean"], rows["chance"], strict=True)]
    names = [f"{DEFINITIONS[name]}\n{number}" for name, number in zip(rows.index, numbers, strict=True)]
    axes.set_xticks(x, [name.replace("nan%", "–") for name in names])
    axes.set(ylim=(0, max(0.5, 1.08 * np.nanmax(rows[["mean", "high", "chance"]]))), ylabel="ratio")
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    return _with_legend(figure, 3)


@rc_context(STYLE)
def jaccard(table: pd.DataFrame) -> Figure:
    """Jaccard similarity of the interactions after each epoch and after the last one."""
    figure, (axes,) = _panels("How soon the models hold the knowledge they end with")
    _curves(axes, table)
    axes.set(ylim=(0, 1.03), ylabel="Jaccard similarity to the last epoch")
    return _with_legend(figure, 4)


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
    return _two_panels("Are few interactions enough to explain the models?", table, labels, "pretrain")


@rc_context(STYLE)
def noise(table: pd.DataFrame) -> Figure:
    """Mean strength per order against the numerical noise in it, at each model's last epoch."""
    figure, (axes,) = _panels("Interactions against the numerical noise in them, per order", height=4.6)
    for model in [name for name in MARKERS if name in set(table["model"])]:
        rows = table[table["model"] == model]
        rows = rows[rows["epoch"] == rows["epoch"].max()].sort_values("order")
        for quantity, line, face in (("strength", "-", COLOURS[model]), ("noise", "--", "white")):
            y = rows[quantity].where(rows[quantity] > 0)  # a log axis has no place for 0
            style = {"color": COLOURS[model], "linestyle": line, "marker": MARKERS[model]}
            axes.plot(rows["order"], y, **style, markerfacecolor=face, label=f"{NAMES[model]}: {quantity}")
    axes.set_xticks(sorted(set(table["order"])))
    axes.set(yscale="log", xlabel="order |S| (number of variables)", ylabel="mean |I(S)|, noise (log-odds)")
    return _with_legend(figure, 3)


def save(figure: Figure, folder: str | Path, name: str) -> tuple[Path, Path]:
    """Write `name.png` (150 dpi) and `name.svg` (text as paths), always the same bytes; return the paths."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    paths = Path(folder, f"{name}.png"), Path(folder, f"{name}.svg")
    for path, metadata in zip(paths, ({}, {"Date": None}), strict=True):
        beside = path.with_name(path.name + ".tmp")
        with rc_context(STYLE):
            figure.savefig(beside, format=path.suffix[1:], dpi=150, facecolor="white", metadata=metadata)
        os.replace(beside, path)
    return paths


def _panels(title: str, count: int = 1, height: float = 4.4) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(7.6 if count == 1 else 10.5, height), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.08, h_pad=0.07)
    figure.suptitle(title)
    return figure, list(figure.subplots(1, count, squeeze=False)[0])


@rc_context(STYLE)
def _two_panels(title: str, table: pd.DataFrame, labels: dict[str, str], level: str) -> Figure:
    """A panel for each quantity in `labels`; the model `level` has no epochs in common: its last value."""
    figure, panels = _panels(title, len(labels))
    for axes, (quantity, label) in zip(panels, labels.items(), strict=True):
        rows = table[table["quantity"] == quantity]
        _curves(axes, rows[rows["model"] != level])
        for _, last in rows[rows["model"] == level].sort_values("epoch").tail(1).iterrows():
            _level(axes, last, shared=np.allclose(rows["chance"].dropna(), last["chance"]))
        axes.set_ylabel(label)
    panels[0].yaxis.set_major_formatter(PercentFormatter(1))
    return _with_legend(figure, 6)


def _curves(axes: Axes, table: pd.DataFrame) -> None:
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


def _level(axes: Axes, row: pd.Series, shared: bool) -> None:
    """A horizontal line with its interval, and its chance unless the curves have the same (`shared`)."""
    name = NAMES[row["model"]]
    axes.axhline(row["mean"], color=COLOURS["pretrain"], linestyle=(0, (5, 3)), label=name)
    if np.isfinite([row["low"], row["high"]]).all():
        axes.axhspan(row["low"], row["high"], color=COLOURS["pretrain"], alpha=0.1, linewidth=0)
    if np.isfinite(row["chance"]) and not shared:
        axes.axhline(row["chance"], color=COLOURS["chance"], linestyle=(0, (1, 3)), label=f"chance ({name})")


def _level_marks(axes: Axes, x: np.ndarray, y: pd.Series, reach: float, label: str) -> None:
    """Short grey lines across bars, edged in white so that they are seen on every bar's colour."""
    if y.isna().all():
        return
    grey = {"color": COLOURS["chance"], "linewidth": 2, "zorder": 4}
    outline = [patheffects.withStroke(linewidth=3.4, foreground="white")]
    axes.hlines(y, x - reach, x + reach, **grey, path_effects=outline, label=label)


def _with_legend(figure: Figure, columns: int) -> Figure:
    """One legend below all panels, where it covers no data; equal names appear once."""
    found = {}
    for axes in figure.axes:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    names = sorted(found, key=lambda name: "chance" in name)
    handles = [found[name] for name in names]
    figure.legend(handles, names, loc="outside lower center", ncols=columns, fontsize=9.5)
    return figure
