"""What fine-tuning preserves, discards and newly learns, per order (Fig. 2 and section 3.2.1 of arXiv 2410.08455)."""

from collections.abc import Callable

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis.claims import Claim
from analysis.drawing.stacks import stacks
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
    "Strength of the interactions of each order: above the axis the pre-trained model's (preserved + discarded), below "
    "it the fine-tuned model's (preserved + new). Left: the mean over the subsets of an order, as in the paper; these "
    "bars do not add up to a total. Right: the sum over the subsets of an order; these bars add up to the totals that "
    "the claims compare: an order whose single interactions are weak may still hold most of the strength. All are "
    "means over samples. Order 0 (the value when nothing is shown) has a scale of its own. Black lines are 95% "
    "intervals of the preserved part and of the whole bar. Grey lines are references for the orange part, drawn above "
    "the axis: what would be preserved if something else stood in for one of the models. Where the orange part is too "
    "thin for them, they are in the table alone."
)
LABELS = {"ceiling": "ceiling: another fine-tuning in place of pre-trained"}


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


def figure(table: pd.DataFrame) -> Figure:
    """Draws mirrored stacks per order: pre-trained above the axis, fine-tuned below, preserved innermost."""
    return stacks(
        "What fine-tuning keeps, drops and adds, per order", table, table.attrs.get("unit", "log-odds"), LABELS
    )


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
