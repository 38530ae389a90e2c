"""What fine-tuning preserves, discards and newly learns, per order (Fig. 2 and section 3.2.1 of arXiv 2410.08455)."""

from collections.abc import Callable
from math import comb

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.claims import Claim
from analysis.drawing.style import COLOURS, STYLE, level_marks, panels, with_legend
from analysis.formulas.decomposition import by_order, decompose
from analysis.measure import Needs, Subject
from analysis.measured import Measured
from analysis.statistics.chance import under_chance
from analysis.statistics.estimate import COLUMNS, Estimate, quotient
from analysis.study import Study

NEEDS = Needs("interactions", each=("pretrain", "finetune"))
SUBJECT = Subject("what fine-tuning discards", ("pretrain", "finetune"))
QUANTITIES = ("pretrain", "finetune", "preserved", "discarded", "new")
TITLE = "Strength of interactions per order (mean over subsets, log-odds)"
CAPTION = (
    "Mean strength of the interactions of each order: above the axis the pre-trained model's (preserved + discarded), "
    "below it the fine-tuned model's (preserved + new). Black lines are 95% intervals of the preserved part and of the "
    "whole bar. The grey line is what two models would preserve by chance: orange that reaches beyond it is knowledge "
    "that the two models share. Left per subset, as in the paper; right summed over all subsets of an order."
)


def samples(study: Study) -> Measured:
    """Returns mean strengths per order of QUANTITIES [samples, orders]; chance permutes the fine-tuned model's."""
    chosen, order = study.subsets, study.order
    pretrain, finetune = study.final("pretrain")[:, chosen], study.final("finetune")

    def strengths(finetune: np.ndarray) -> dict[str, np.ndarray]:
        finetune = finetune[:, chosen]
        parts = (abs(pretrain), abs(finetune), *decompose(pretrain, finetune))
        return {name: by_order(part, order) for name, part in zip(QUANTITIES, parts, strict=True)}

    present, subsets = np.unique(order, return_counts=True)
    chance = under_chance(strengths, finetune, study.permutations)
    return Measured(strengths(finetune), chance, {"order": present, "subsets": subsets, "n": np.array(study.n)})


def table(measured: Measured, weights: np.ndarray) -> pd.DataFrame:
    """Columns: order, quantity, mean, low, high, chance. Values are strength per subset."""
    rows = [
        (order, quantity, *values)
        for quantity in QUANTITIES
        for order, values in zip(measured.about["order"], measured.estimate(quantity, weights).rows(), strict=True)
    ]
    return pd.DataFrame(rows, columns=["order", "quantity", *COLUMNS]).sort_values("order", kind="stable")


@rc_context(STYLE)
def figure(table: pd.DataFrame) -> Figure:
    """Draws mirrored stacks per order: pre-trained above the axis, fine-tuned below, preserved innermost.

    The left panel shows means per subset, as the paper does. The right panel shows sums over the n over |S| subsets
    of an order: an order whose single interactions are weak may still hold most of the strength.
    """
    unit = table.attrs.get("unit", "log-odds")
    figure, (each, summed) = panels("What fine-tuning keeps, drops and adds, per order", 2, height=4.9)
    _mirrored(each, table, f"mean strength |I(S)| per subset ({unit})")
    n = int(table["order"].max())
    subsets = table["order"].map(lambda order: comb(n, int(order)))
    totals = table.assign(**{column: table[column] * subsets for column in COLUMNS})
    _mirrored(summed, totals, f"strength |I(S)| summed over the order ({unit})")
    summed.text(1.02, 0.75, "↑ pre-trained\n(linear probe)", transform=summed.transAxes, va="center")
    summed.text(1.02, 0.25, "↓ fine-tuned", transform=summed.transAxes, va="center")
    return with_legend(figure, 4)


def _mirrored(axes: Axes, table: pd.DataFrame, label: str) -> None:
    rows = {quantity: part.set_index("order").sort_index() for quantity, part in table.groupby("quantity")}
    _half(axes, rows["preserved"], rows["discarded"], rows["pretrain"], +1)
    _half(axes, rows["preserved"], rows["new"], rows["finetune"], -1)
    axes.axhline(0, color="black", linewidth=1)
    reach = 1.05 * np.nanmax(table[["mean", "high", "chance"]].to_numpy(dtype=float)) or 1.0
    axes.set_ylim(-reach, reach)  # both models on one scale
    axes.set_xticks(rows["preserved"].index)
    axes.yaxis.set_major_formatter(lambda y, _: f"{abs(y):g}")
    axes.set(xlabel="order |S| (number of variables)", ylabel=label)


def _half(axes: Axes, inner: pd.DataFrame, outer: pd.DataFrame, total: pd.DataFrame, side: int) -> None:
    orders = inner.index.to_numpy(dtype=float)
    segment = "discarded" if side > 0 else "new"
    axes.bar(orders, side * inner["mean"], 0.74, color=COLOURS["preserved"], label="preserved")
    axes.bar(orders, side * outer["mean"], 0.74, side * inner["mean"], color=COLOURS[segment], label=segment)
    for shift, end in ((-0.14, inner), (0.14, total)):  # side by side, for short outer segments
        axes.vlines(orders + shift, side * end["low"], side * end["high"], color="black", zorder=5)
    level_marks(axes, orders, side * inner["chance"], 0.46, "preserved by chance")


def claims(measured: Measured, weights: np.ndarray) -> list[Claim]:
    """The claims of section 3.2.1."""
    orders, subsets, n = (measured.about[name] for name in ("order", "subsets", "n"))
    low, high = (orders >= 1) & (orders <= n / 2), orders > n / 2

    def total(strength: np.ndarray, of: np.ndarray = slice(None)) -> np.ndarray:
        return strength[:, of] @ subsets[of]

    def mean(strength: np.ndarray, of: np.ndarray) -> np.ndarray:
        return quotient(total(strength, of), subsets[of].sum())

    def growth(strength: np.ndarray) -> np.ndarray:
        return quotient(mean(strength, high), mean(strength, low))

    def share_growth(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
        return quotient(total(part, high), total(whole, high)) - quotient(total(part, low), total(whole, low))

    def compare(statistic: Callable, *names: str) -> Estimate:
        return measured.estimate(names, weights, statistic)

    twice = compare(lambda d, p: quotient(total(d), total(p)), "discarded", "preserved")
    rows = [Claim("discards more than twice what it preserves", "strength discarded / preserved", twice, above=2)]
    for part, whole in (("discarded", "pretrain"), ("new", "finetune")):
        claim, model = f"more {part} at high order than at low", {"pretrain": "pre-trained", "finetune": "fine-tuned"}
        rows += [
            Claim(claim, f"mean strength {part}, orders above n/2 / orders 1 to n/2", compare(growth, part), above=1),
            Claim(claim, f"share {part} of the {model[whole]} model's strength, orders above n/2 - orders 1 to n/2",
                  compare(share_growth, part, whole), above=0),
        ]  # fmt: skip
    return rows
