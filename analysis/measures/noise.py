"""How strong interactions are compared with their numerical noise, per order, after each model's last epoch. All
interactions are used, as they are stored."""

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.figure import Figure

from analysis.drawing.style import COLOURS, MARKERS, NAMES, STYLE, panels, with_legend
from analysis.formulas.decomposition import by_order
from analysis.formulas.noise import noise_by_order
from analysis.measure import Needs
from analysis.measured import Measured
from analysis.study import Study
from interactions.mobius import interactions, orders

NEEDS = Needs("interactions")
QUESTION = "Which orders are free of numerical noise?"
TITLE = "Strength of interactions, and numerical noise in them (log-odds)"
CAPTION = (
    "Mean strength of the interactions of each order (solid) and the numerical noise in them (dashed), both after the "
    "last epoch. Noise of the values grows by 2^(order/2) if independent. Where the lines come near each other, "
    "interactions of that order are dominated by numerical noise: do not interpret them."
)
LABELS = {"explained": "the most that rounding explains"}


def samples(study: Study) -> Measured:
    """Returns mean strengths per order [samples, orders]; `noise` and `explained` by rounding are of the values."""
    order, found, about = orders(study.n), {}, {}
    for model in study.models:
        found[model] = by_order(abs(interactions(study.values(model, study.last(model)))), order)
        size, explained = study.noise(model)
        about |= {f"noise/{model}": np.array(size), f"explained/{model}": np.array(explained)}
    return Measured(found, about=about)


def table(measured: Measured) -> pd.DataFrame:
    """Columns: model, order, quantity (strength, noise), mean, low, high, explained. Noise has no interval over
    samples, as it is the root mean square over all values that were computed twice. Its reference is the most that
    rounding explains. The noise of order 0 is that of the values."""
    rows = []
    for model in measured.observed:
        strength = list(measured.strength(model).rows())
        noise, explained = (
            noise_by_order(float(measured.about[f"{name}/{model}"]), len(strength) - 1)
            for name in ("noise", "explained")
        )
        for order, (mean, low, high, *_) in enumerate(each.own for each in strength):
            rows.append((model, order, "strength", mean, low, high, np.nan))
            rows.append((model, order, "noise", noise[order], np.nan, np.nan, explained[order]))
    return pd.DataFrame(rows, columns=["model", "order", "quantity", "mean", "low", "high", "explained"])


@rc_context(STYLE)
def figure(table: pd.DataFrame) -> Figure:
    """Draws the mean strength per order and its noise on a logarithmic axis."""
    figure, (axes,) = panels("Interactions against the numerical noise in them, per order", height=4.6)
    models = [name for name in MARKERS if name in set(table["model"])]
    for model in models:
        for quantity, line, face in (("strength", "-", COLOURS[model]), ("noise", "--", "white")):
            rows = table[(table["model"] == model) & (table["quantity"] == quantity)].sort_values("order")
            y = rows["mean"].where(_can_be_drawn(rows))
            style = {"color": COLOURS[model], "linestyle": line, "marker": MARKERS[model]}
            axes.plot(rows["order"], y, **style, markerfacecolor=face, label=f"{NAMES[model]}: {quantity}")
    axes.set_xticks(sorted(set(table["order"])))
    if _can_be_drawn(table).any():
        axes.set_yscale("log")
    axes.set(xlabel="order |S| (number of variables)", ylabel="mean |I(S)|, noise (log-odds)")
    return with_legend(figure, len(models))


def _can_be_drawn(table: pd.DataFrame) -> pd.Series:
    """Tells which means have a place on a log axis."""
    return (table["mean"] > 0) & np.isfinite(table["mean"])
