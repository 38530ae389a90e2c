"""What fine-tuning preserves, discards and newly learns, per order (Fig. 2 and section 3.2.1 of arXiv 2410.08455)."""

from dataclasses import replace
from math import nan

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis.claims import Claim
from analysis.drawing.stacks import stacks
from analysis.drawing.style import NAMES
from analysis.formulas.decomposition import by_order
from analysis.formulas.references import by_placement, by_sign, matched, shared, without_strength
from analysis.measure import Needs, Subject
from analysis.measured import Measured
from analysis.statistics.estimate import quotient
from analysis.study import Study

NEEDS = Needs("interactions", each=("pretrain", "finetune"))
SUBJECT = Subject("what fine-tuning discards", ("pretrain", "finetune"))
QUANTITIES = ("pretrain", "finetune", "preserved", "discarded", "new")
PARTS = ("preserved", "discarded", "new")
FAMILY = "order"
THAN = {
    "placement": "strengths alone would give",
    "sign": "if effects were independent",
    "task": "a model trained from scratch shares",
    "class": "other inputs of the same class share",
    "other": "after another pre-training",
}
BEYOND = {
    "placement": "what strengths alone give",
    "sign": "what independent effects give",
    "task": "what a model trained from scratch shares",
    "class": "what other inputs of the same class share",
    "other": "what is shared after another pre-training",
}
QUESTION = "What does fine-tuning preserve, discard and newly learn?"
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
    """Returns mean strengths per order of QUANTITIES [samples, orders], also at equal strengths."""
    return replace(_samples(study), equal=_samples(study.at_equal_strength()))


def _samples(study: Study) -> Measured:
    chosen, order = study.subsets, study.order
    pretrain, finetune = (study.final(model)[:, chosen] for model in ("pretrain", "finetune"))
    sizes, counts = np.unique(order, return_counts=True)
    about = {"order": sizes, "subsets": counts, "n": np.array(study.n)}
    references = {
        "placement": by_placement(pretrain, finetune, order),
        "sign": by_sign(pretrain, finetune, order),
    }
    if "scratch" in study.models:
        scratch = study.final("scratch")[:, chosen]
        references["task"] = shared(pretrain, matched(scratch, finetune, order))
        about["unmatched"] = without_strength(scratch, finetune, order)
    if study.is_shared:
        references["class"] = of_same_class(pretrain, finetune, study)
    parts = _strengths(pretrain, finetune, shared(pretrain, finetune), order)
    levels = {name: _strengths(pretrain, finetune, level, order) for name, level in references.items()}
    found = {name: {part: level[part] for part in PARTS} for name, level in levels.items()}
    if "task" in found:
        found["task"] |= _without(about["unmatched"], parts, found["task"])
    return Measured(parts, found, about=about)


def _without(
    unmatched: np.ndarray, parts: dict[str, np.ndarray], level: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Leaves out, on both sides, samples and orders whose strength can't be matched: they count as observed, so that
    they add nothing to an excess. An order without any that can has no level: NaN. Returns PARTS, and both sides of
    the preserved alone, `common` and `observed`, in which they are 0."""
    none = unmatched.all(0)
    found = {part: np.where(none, np.nan, np.where(unmatched, parts[part], level[part])) for part in PARTS}
    both = {"observed": parts["preserved"], "common": level["preserved"]}
    return found | {name: np.where(unmatched, 0.0, array) for name, array in both.items()}


def _strengths(
    pretrain: np.ndarray, finetune: np.ndarray, preserved: np.ndarray, order: np.ndarray
) -> dict[str, np.ndarray]:
    """Returns mean strengths per order of QUANTITIES, [samples, orders] each."""
    pretrain, finetune = abs(pretrain), abs(finetune)
    parts = (pretrain, finetune, preserved, pretrain - preserved, finetune - preserved)
    return {name: by_order(part, order) for name, part in zip(QUANTITIES, parts, strict=True)}


def of_same_class(pretrain: np.ndarray, finetune: np.ndarray, study: Study) -> np.ndarray:
    """Returns what the pre-trained model shares with the fine-tuned one's interactions on other samples of the same
    class, matched in strength: the mean over these, [samples, subsets]. Without such a sample it is 0."""
    labels, order = np.array([sample["class"] for sample in study.about["samples"]]), study.order
    found = np.zeros_like(pretrain)
    for name in np.unique(labels):
        of = np.flatnonzero(labels == name)
        for shift in range(1, len(of)):
            other = finetune[np.roll(of, shift)]
            found[of] += shared(pretrain[of], matched(other, finetune[of], order)) / (len(of) - 1)
    return found


def across(study: Study, siblings: list[Study], strangers: list[Study]) -> Measured:
    """Returns the references that need further runs on the same samples: `ceiling` from those with the same
    pre-training, `other` from those with another one. Each is the mean over these runs."""
    return replace(_across(study, siblings, strangers), equal=_across(
        study.at_equal_strength(), [each.at_equal_strength() for each in siblings],
        [each.at_equal_strength() for each in strangers]))  # fmt: skip


def _across(study: Study, siblings: list[Study], strangers: list[Study]) -> Measured:
    chosen, order = study.subsets, study.order
    pretrain, finetune = (study.final(model)[:, chosen] for model in ("pretrain", "finetune"))
    levels = {}
    if siblings:
        again = [each.final("finetune")[:, chosen] for each in siblings]
        levels["ceiling"] = np.mean([_ceiling(each, pretrain, finetune, order) for each in again], axis=0)
    if strangers:
        levels["other"] = np.mean([shared(pretrain, each.final("finetune")[:, chosen]) for each in strangers], axis=0)
    strengths = {name: _strengths(pretrain, finetune, level, order) for name, level in levels.items()}
    return Measured({}, {name: {part: found[part] for part in PARTS} for name, found in strengths.items()})


def _ceiling(again: np.ndarray, pretrain: np.ndarray, finetune: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Returns what the fine-tuned model shares with another fine-tuning that has the pre-trained model's strength: as
    observed where it has none to be matched."""
    unmatched = np.take_along_axis(without_strength(again, pretrain, order), (order - order.min())[None], axis=1)
    return np.where(unmatched, shared(pretrain, finetune), shared(matched(again, pretrain, order), finetune))


def paired(first: Study, second: Study) -> float:
    """Returns what the pre-trained model of the first run shares with the fine-tuned one of the second: mean over
    samples of the strength of the orders from 1 on."""
    of = first.order > 0
    pretrain, finetune = first.final("pretrain")[:, first.subsets], second.final("finetune")[:, second.subsets]
    return float(shared(pretrain, finetune)[:, of].sum(1).mean())


def table(measured: Measured) -> pd.DataFrame:
    """Columns: order, quantity, estimate. Values are strength per subset."""
    rows = [
        (order, quantity, estimate)
        for quantity in QUANTITIES
        for order, estimate in zip(measured.about["order"], measured.strength(quantity).rows(), strict=True)
    ]
    return pd.DataFrame(rows, columns=["order", "quantity", "estimate"]).sort_values("order", kind="stable")


def figure(table: pd.DataFrame) -> Figure:
    """Draws mirrored stacks per order: pre-trained above the axis, fine-tuned below, preserved innermost."""
    return stacks(
        "What fine-tuning keeps, drops and adds, per order", table, table.attrs.get("unit", "log-odds"), LABELS
    )


def claims(measured: Measured) -> list[Claim]:
    """The claims of section 3.2.1, and what "preserved" is more than."""
    orders, subsets, n = (measured.about[name] for name in ("order", "subsets", "n"))
    low, high, some = (orders >= 1) & (orders <= n / 2), orders > n / 2, orders >= 1

    def total(strength: np.ndarray, of: np.ndarray) -> np.ndarray:
        return strength[:, of] @ subsets[of]

    def share(part: np.ndarray, whole: np.ndarray, of: np.ndarray) -> np.ndarray:
        return quotient(total(part, of), total(whole, of))

    def growth(strength: np.ndarray) -> np.ndarray:
        return quotient(share(strength, np.ones_like(strength), high), share(strength, np.ones_like(strength), low))

    every = np.ones_like(some)
    twice, times = "fine-tuning discards more than twice what it preserves", "strength discarded / preserved"
    both = ("discarded", "preserved")
    found = [
        Claim(twice, "discarded/all", f"{times}, over all subsets (larger: less is preserved)",
              measured.estimate(both, lambda d, p: share(d, p, every), log=True), above=2),
        Claim(twice, "discarded/orders", f"{times}, mean of the orders' means",
              measured.estimate(both, lambda d, p: quotient(d.sum(1), p.sum(1)), log=True), above=2),
        Claim(twice, "discarded/some", f"{times}, over the subsets of order 1 and more",
              measured.estimate(both, lambda d, p: share(d, p, some), log=True), above=2),
        Claim("what is preserved", "preserved/share", "share of the pre-trained model's strength, orders from 1 on",
              measured.estimate(("preserved", "pretrain"), lambda p, a: share(p, a, some)), above=nan),
    ]  # fmt: skip
    for name in [name for name in measured.references if name in THAN]:
        sides = (f"{name}/observed", f"{name}/common") if name == "task" else ("preserved", f"{name}/preserved")
        beyond = measured.estimate(sides, lambda p, r: 1 - share(r, p, some), alone=True)
        found.append(Claim(f"preserves more than {THAN[name]}", f"preserved/{name}",
                           f"share of the preserved strength beyond {BEYOND[name]}, orders from 1 on", beyond,
                           above=0))  # fmt: skip
    for part, whole in (("discarded", "pretrain"), ("new", "finetune")):
        claim, model = f"more is {part} at high order than at low", NAMES[whole]
        found += [
            Claim(claim, f"{part}/growth", f"mean strength {part}, orders above n/2 / orders 1 to n/2",
                  measured.estimate(part, growth, log=True), above=1),
            Claim(claim, f"{part}/share", f"share {part} of the {model} model's strength, orders above n/2 - orders 1 "
                  f"to n/2",
                  measured.estimate((part, whole), lambda p, w: share(p, w, high) - share(p, w, low)), above=0),
        ]  # fmt: skip
    return found
