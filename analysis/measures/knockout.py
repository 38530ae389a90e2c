"""Does preserved knowledge carry the fine-tuned model where it wins? It is taken out of the model's answer, on samples
that fine-tuned gets right and scratch wrong, and on as many that both get right.

Which samples these are is known only after training, so that they can't be drawn for it: few of the study's samples are
won (each percent of accuracy gained is about one in a hundred). With fewer than FEWEST nothing is judged: raise
interactions.samples.
"""

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Annotated

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.figure import Figure
from scipy.stats import t

from analysis.claims import Claim
from analysis.drawing.references import levels
from analysis.drawing.references import reference_marks as marks
from analysis.drawing.style import COLOURS, STYLE, panels, with_legend
from analysis.formulas.knockout import flips, groups, knockout
from analysis.measure import Needs, Subject
from analysis.measured import Measured
from analysis.statistics.estimate import LEVEL, Estimate, Interval, quotient
from analysis.study import Study
from conf.allowed import Number
from interactions.mobius import orders

MODELS = ("pretrain", "finetune", "scratch")
NEEDS = Needs("interactions", each=MODELS)
SUBJECT = Subject("what carries the fine-tuned model", MODELS)
FEWEST = 5  # samples of a group
GROUPS = {"won": "only fine-tuned is right", "both": "both are right"}
QUANTITIES = ("advantage", "taken", "shared", "new", "flips")
REFERENCES = ("elsewhere", "placement")
BARS = {  # quantity: colour, words
    "advantage": ("finetune", "ahead of\nscratch"),
    "taken": ("preserved", "preserved,\nscratch lacks it"),
    "shared": ("scratch", "preserved,\nscratch has it"),
    "new": ("new", "newly\nlearned"),
}
QUESTION = "Does preserved knowledge carry the fine-tuned model where it wins?"
TITLE = "The fine-tuned model's answer without the preserved knowledge that scratch lacks (log-odds)"
LABELS = {
    **GROUPS,
    "taken": "preserved, scratch lacks it",
    "shared": "preserved, scratch has it",
    "new": "newly learned",
    "elsewhere": "elsewhere: as much at other subsets",
    "placement": "placement: the two other models at other subsets",
}
CAPTION = (
    "Log-odds of the true class, as means over samples with 95% intervals: left over those that fine-tuned gets right "
    "and scratch wrong, right over as many that both get right. From left to right: how far fine-tuned is ahead of "
    "scratch; what fine-tuned's answer owes to preserved knowledge that scratch lacks, to preserved knowledge that "
    "scratch has, and to what is newly learned (these three add up to the answer less that of the masked input). "
    "Grey lines: as much taken out at other subsets of the same order (elsewhere, which unrelated models exceed, too), "
    "and the two other models read at other subsets of the same order (placement). Preserved knowledge explains what "
    "fine-tuning wins only if more is taken out than both say, and more than where both models are right."
)


def samples(study: Study, most: Annotated[int, Number(FEWEST, 1_000_000)] = 200) -> Measured:
    """Returns for each group which samples belong to it ("won", 1 or 0), and QUANTITIES of these ("taken/won"), 0 for
    all others: [samples] each. most: the largest number of samples in a group.

    All interactions count, as they are stored: only their sum is the model's answer.
    """
    stored = copy.copy(study)
    stored.options = replace(study.options, salient=False, normalise=False, equal=False)
    strengths = [stored.final(model) for model in MODELS]
    found, (_, answer, scratch) = knockout(*strengths, orders(study.n)), (each.sum(1) for each in strengths)
    parts = {"advantage": answer - scratch, "taken": found.taken, "shared": found.shared, "new": found.new}
    parts |= {"flips": flips(answer, found.taken)}
    other = {name: getattr(found, name) for name in REFERENCES}
    members = dict(zip(GROUPS, groups(*_right(study), most), strict=True))
    return Measured(
        members | {f"{name}/{group}": each * of for group, of in members.items() for name, each in parts.items()},
        {name: {f"{part}/{group}": each * of for group, of in members.items()
                for part, each in (("taken", level), ("flips", flips(answer, level)))}
         for name, level in other.items()},
    )  # fmt: skip


def _right(study: Study) -> tuple[np.ndarray, np.ndarray]:
    """Returns whether fine-tuned and scratch are right on each of the study's samples; never, if that is not known."""
    if study.about["split"] != "test" or not {"finetune", "scratch"} <= study.outcomes.keys():
        return np.zeros(study.count), np.zeros(study.count)
    index = [sample["index"] for sample in study.about["samples"]]
    return tuple(study.outcomes[model].correct[index, -1] for model in MODELS[1:])


def table(measured: Measured) -> pd.DataFrame:
    """Columns: group (won, both), quantity, estimate. Quantities are means over the group's samples, in log-odds; flips
    is the share of them whose log-odds fall below 0; `samples` is the group's share of all samples."""
    rows = [(group, name, of_group(measured, name, group)) for group in GROUPS for name in QUANTITIES]
    rows += [(group, "samples", measured.estimate(group)) for group in GROUPS]
    return pd.DataFrame(rows, columns=["group", "quantity", "estimate"])


def of_group(measured: Measured, name: str, group: str) -> Estimate:
    """Estimates the mean of a quantity over the samples of a group."""
    return _of_few(measured.estimate((f"{name}/{group}", group), quotient), _count(measured, group))


def _count(measured: Measured, group: str) -> int:
    return int(measured.observed[group].sum())


def _of_few(estimate: Estimate, count: int) -> Estimate:
    """Returns the estimate with intervals for means over `count` samples; none for fewer than FEWEST."""
    excess = {name: _wider(each, count) for name, each in estimate.excess.items()}
    return Estimate(_wider(estimate.own, count), estimate.levels, excess)


def _wider(interval: Interval, count: int) -> Interval:
    """Samples outside a group are zeros that tell nothing: they must not count in Student's t."""
    value, half, every = interval.value, (interval.high - interval.low) / 2, len(interval.pseudo)
    factor = np.nan
    if count >= FEWEST:  # the second part: errors of a mean of few, found by leaving out one, are larger by its inverse
        factor = t.ppf(LEVEL, count - 1) / t.ppf(LEVEL, every - 1) * np.sqrt((1 - 1 / count) / (1 - 1 / every))
    return interval._replace(low=value - factor * half, high=value + factor * half)


def claims(measured: Measured) -> list[Claim]:
    """The claim that what is taken out is more than both references, and more than where both models are right."""
    counts = {group: _count(measured, group) for group in GROUPS}
    few = [f"{GROUPS[group]} in {count}" for group, count in counts.items() if count < FEWEST]
    why = f"{few[0]} of {measured.samples} samples, and {FEWEST} are needed: raise interactions.samples" if few else ""
    carries = "preserved knowledge that scratch lacks carries fine-tuning where it wins"

    def beyond(reference: str, group: str) -> tuple[str, ...]:
        return f"taken/{group}", f"{reference}/taken/{group}", group

    def mean(taken: np.ndarray, level: np.ndarray, of: np.ndarray) -> np.ndarray:
        return quotient(taken - level, of)

    def more(*of_both: np.ndarray) -> np.ndarray:
        return mean(*of_both[:3]) - mean(*of_both[3:])

    def estimated(names: tuple[str, ...], statistic: Callable, count: int) -> Estimate:
        return Estimate(_wider(measured.estimate(names, statistic).own, count))  # it is beyond a reference already

    found = []
    for name, words in (("placement", "the two other models at other subsets"), ("elsewhere", "as much elsewhere")):
        won, both = beyond(name, "won"), beyond(name, "both")
        found += [
            Claim(carries, f"knockout/{name}", f"log-odds taken out where only fine-tuned is right, beyond {words}",
                  estimated(won, mean, counts["won"]), above=0, impossible=why),
            Claim(f"{carries}, and more than where both are right", f"knockout/{name}/more",
                  f"log-odds taken out beyond {words}, only fine-tuned right - both right",
                  estimated((*won, *both), more, min(counts.values())), above=0, impossible=why),
        ]  # fmt: skip
    return sorted(found, key=lambda claim: claim.key.endswith("/more"))


@rc_context(STYLE)
def figure(table: pd.DataFrame) -> Figure:
    """Draws the parts of the answer for each group, with what both references would take out."""
    figure, both = panels("What carries the fine-tuned model?", 2, height=4.6)
    for axes, (group, title) in zip(both, GROUPS.items(), strict=True):
        rows = table[table["group"] == group].replace([np.inf, -np.inf], np.nan).set_index("quantity").loc[list(BARS)]
        x = np.arange(len(rows), dtype=float)
        axes.bar(x, rows["mean"], 0.62, color=[COLOURS[colour] for colour, _ in BARS.values()])
        axes.vlines(x, rows["low"], rows["high"], color="black", zorder=5)
        marks(axes, x, rows, levels(rows), 0.38, LABELS)
        axes.axhline(0, color="black", linewidth=0.8)
        axes.set_title(title, fontsize=10.5)
        axes.set_xticks(x, [words for _, words in BARS.values()], fontsize=8.5)
    limits = np.array([axes.get_ylim() for axes in both])
    for axes in both:
        axes.set_ylim(limits[:, 0].min(), limits[:, 1].max())
    both[0].set_ylabel("log-odds")
    return with_legend(figure, 2)
