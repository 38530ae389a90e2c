"""Draws what runs from many epochs of pre-training say over these epochs: accuracies of transfer, and components.

A curve is the mean over seeds, with its interval as a band; thin lines are single seeds, and a ring marks the best
epoch of a curve. Curves whose ranges are too different for one axis have panels of their own: where FT rises from 99.3
to 99.5 % while FE falls by ten points, one axis would show a flat line. Two seeds may have bands of 50 points: so the
axis ends near the curves, and cuts off bands that go on.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullLocator

from analysis.drawing.references import style as of_reference
from analysis.drawing.references import words
from analysis.drawing.style import COLOURS, REFERENCE, STYLE, panels, with_legend
from analysis.statistics.curves import ROUNDING

WIDELY, TICKS = 30, 7  # times; numbers along the axis, at most
FLAT = 4  # times wider: an axis on which a curve is hard to see
MARGIN = 0.05
ROOM = 0.5  # of the curves' range, for bands on either side
LABEL = "pre-training epoch"


class Curve(NamedTuple):
    """How a quantity is drawn, and what it is called."""

    words: str
    colour: str
    mark: str
    dashes: object = "-"
    filled: bool = True


TRANSFER = {
    "fe": Curve("FE: frozen features, a fixed number of steps", "#0072B2", "o"),
    "fe_converged": Curve("FE with a converged head", "#56B4E9", "s", (0, (5, 2))),
    "ft": Curve("FT: fine-tuning", COLOURS["finetune"], "^"),
    "source": Curve("source accuracy", "#333333", "D", (0, (4, 1.5, 1, 1.5))),
}
NAMES = {"fe": "frozen features (FE)", "ft": "fine-tuning (FT)", "source": "source"}
GREY = {"colour": COLOURS["reference"]}
COMPONENTS = {
    "all": Curve("all components", "#333333", "o"),
    "main": Curve("main components F_m", "#0072B2", "s"),
    "residual": Curve("residual F_r", "#D55E00", "^"),
    "random_main": Curve("a random subspace as large as F_m", **GREY, mark="s", dashes=(0, (5, 2))),
    "random_residual": Curve("a random subspace as large as F_r", **GREY, mark="^", dashes=(0, (1, 1.5))),
}
MODELS = {"pretrain": "before fine-tuning", "finetune": "after fine-tuning"}
SIZES = {("dimension", "main"): ("dimension of F_m", "#0072B2", "s"),
         ("effective_rank", "all"): ("effective rank", "#009E73", "o")}  # fmt: skip


@rc_context(STYLE)
def transfer(over: pd.DataFrame, seeds: pd.DataFrame) -> Figure:
    """Draws accuracies over epochs. over: epoch, quantity, mean, low, high, and perhaps chance; seeds: seed, epoch,
    quantity, mean."""
    groups = _groups(over)
    figure, every = panels("Which epoch of pre-training transfers best?", len(groups), height=4.6)
    for axes, group in zip(every, groups, strict=True):
        for name in group:
            of, own = (table[table["quantity"] == name] for table in (over, seeds))
            _curve(axes, of, own, TRANSFER[name], ring=True)
        along(axes, over["epoch"])
        _frame(axes)
        _chance(axes, over[over["quantity"].isin(set(group) - {"source"})])
        if len(groups) > 1:
            axes.set_title(" and ".join(NAMES[name] for name in group if name in NAMES), fontsize=10.5)
        _percent(axes)
    every[0].set_ylabel("accuracy (%)")
    ring = {"linestyle": "", "marker": "o", "markersize": 11, "color": "none", "markeredgecolor": "black"}
    every[0].plot([], [], **ring, label="ring: the best epoch of a curve", gid=REFERENCE)
    return with_legend(figure, 3)


def _groups(over: pd.DataFrame) -> list[list[str]]:
    """Puts curves in one panel as long as none of them becomes flat there. Both kinds of FE are always together."""
    known = [name for name in TRANSFER if name in set(over["quantity"])]
    groups = [[name for name in ("fe", "fe_converged") if name in known]]
    for name in [name for name in ("ft", "source") if name in known]:
        home = next((group for group in groups if group and _fits(over, group, name)), None)
        home.append(name) if home else groups.append([name])
    return [group for group in groups if group]


def _fits(over: pd.DataFrame, group: list[str], name: str) -> bool:
    means = over[over["quantity"].isin([*group, name])].groupby("quantity")["mean"]
    return means.max().max() - means.min().min() <= FLAT * (means.max() - means.min()).min()


@rc_context(STYLE)
def spectrum(over: pd.DataFrame, seeds: pd.DataFrame) -> Figure:
    """Draws accuracies of components before and after fine-tuning, and how many they are. over: epoch, model, quantity,
    component, mean, low, high, and perhaps chance and paper; seeds: seed and the same keys, mean."""
    figure, every = panels("What do main and residual components of the features know?", 3, height=4.6)
    accuracy = over[over["quantity"] == "accuracy"]
    for axes, (model, name) in zip(every, MODELS.items(), strict=False):
        of_model = accuracy[accuracy["model"] == model]
        for component, curve in COMPONENTS.items():
            of = of_model[of_model["component"] == component]
            own = seeds[(seeds[["model", "quantity", "component"]] == [model, "accuracy", component]).all(axis=1)]
            _curve(axes, of, own, curve)
            if "paper" in of:
                axes.plot(of["epoch"], of["paper"], "x", color=curve.colour, markersize=8, markeredgewidth=2, zorder=5)
        along(axes, over["epoch"])
        _frame(axes)
        _chance(axes, of_model)
        axes.set_title(name, fontsize=10.5)
    low, high = (of(axes.get_ylim()[side] for axes in every[:2]) for side, of in ((0, min), (1, max)))
    for axes in every[:2]:
        axes.set_ylim(low, high)
        _percent(axes)
    every[0].set_ylabel("accuracy (%)")
    _sizes(every[2], over, seeds)
    if "paper" in over and over["paper"].notna().any():
        every[0].plot([], [], "x", color="black", markersize=8, markeredgewidth=2, label="the paper's", gid=REFERENCE)
    return with_legend(figure, 3)


def _sizes(axes: Axes, over: pd.DataFrame, seeds: pd.DataFrame) -> None:
    for (quantity, component), (name, colour, mark) in SIZES.items():
        for model, dashes, filled in zip(MODELS, ("-", (0, (5, 2))), (True, False), strict=True):
            chosen = [model, quantity, component]
            of, own = (table[(table[["model", "quantity", "component"]] == chosen).all(axis=1)]
                       for table in (over, seeds))  # fmt: skip
            named = Curve(f"{name}, {MODELS[model].split()[0]}", colour, mark, dashes, filled)
            _curve(axes, of, own, named, most=np.inf)
    along(axes, over["epoch"])
    _frame(axes)
    axes.set_title("how many dimensions they have", fontsize=10.5)
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))


def _curve(
    axes: Axes, of: pd.DataFrame, own: pd.DataFrame, curve: Curve, ring: bool = False, most: float = 1.0
) -> None:
    """most: the largest value that is possible; the smallest is 0."""
    of = of[np.isfinite(of["mean"])].sort_values("epoch")
    if of.empty:
        return
    if own["seed"].nunique() > 1:
        for _, rows in own.groupby("seed"):
            rows = rows.sort_values("epoch")
            axes.plot(rows["epoch"], rows["mean"], color=curve.colour, linewidth=0.7, alpha=0.4)
    axes.plot(of["epoch"], of["mean"], color=curve.colour, linestyle=curve.dashes, marker=curve.mark, linewidth=1.8,
              markerfacecolor=curve.colour if curve.filled else "white", label=curve.words, zorder=3)  # fmt: skip
    axes.fill_between(
        of["epoch"], of["low"].clip(0, most), of["high"].clip(0, most), color=curve.colour, alpha=0.16, linewidth=0
    )
    if ring and np.ptp(of["mean"]) > 0:
        best = of[of["mean"] >= of["mean"].max() - ROUNDING]  # several where they are equal
        axes.plot(best["epoch"], best["mean"], "o", markersize=12, color="none", markeredgecolor=curve.colour,
                  markeredgewidth=1.6, zorder=4, clip_on=False)  # fmt: skip


def _frame(axes: Axes) -> None:
    """Ends the axis near the curves: bands that go on are cut off."""
    curves = np.concatenate([np.asarray(line.get_ydata(), float) for line in axes.lines] or [np.empty(0)])
    curves = curves[np.isfinite(curves)]
    if not len(curves):
        return
    room = ROOM * np.ptp(curves) or np.inf
    low, high = max(axes.dataLim.y0, curves.min() - room), min(axes.dataLim.y1, curves.max() + room)
    if low < high:
        axes.set_ylim(low - MARGIN * (high - low), high + MARGIN * (high - low))


def along(axes: Axes, epochs: pd.Series) -> None:
    """Makes the axis of epochs: logarithmic if they are far apart, linear up to the first one if that is epoch 0."""
    at = np.unique(epochs.to_numpy(float))
    positive = at[at > 0]
    if len(positive) > 1 and positive[-1] > WIDELY * positive[0]:
        if at[0] > 0:
            axes.set_xscale("log")
        else:
            axes.set_xscale("symlog", linthresh=positive[0], linscale=0.5)
    place = axes.transScale.transform(np.column_stack([at, np.zeros(len(at))]))[:, 0]
    room = np.ptp(place) / TICKS
    shown = [at[-1]]
    for epoch, where in zip(at[-2::-1], place[-2::-1], strict=True):
        last = place[np.searchsorted(at, shown[-1])]
        if last - where >= 0.7 * room:
            shown.append(epoch)
    axes.set_xticks(shown, [f"{epoch:g}" for epoch in shown])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel(LABEL)


def _chance(axes: Axes, rows: pd.DataFrame) -> None:
    """Draws the level of chance where the axis reaches near it; else a note says where it is."""
    if "chance" not in rows or rows["chance"].isna().all():
        return
    level = float(rows["chance"].mean())
    low, high = axes.get_ylim()
    if low - level > 0.6 * (high - low):
        axes.set_xlabel(f"{axes.get_xlabel()}\n(by chance {100 * level:.3g} %, below the axis)")
        return
    axes.axhline(level, **of_reference("chance", ["chance"]) | {"marker": ""}, label=words("chance"))
    room = MARGIN * (high - low)
    axes.set_ylim(min(low, level - room), max(high, level + room))


def _percent(axes: Axes) -> None:
    axes.yaxis.set_major_formatter(lambda share, _: f"{100 * share:.4g}")
