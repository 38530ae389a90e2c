"""How much of the preserved knowledge training from scratch learns (Fig. 3 and section 3.2.2 of arXiv 2410.08455)."""

from dataclasses import replace

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from analysis.claims import Claim
from analysis.drawing.references import levels, reference_marks
from analysis.drawing.style import COLOURS, STYLE, panels, with_legend
from analysis.formulas.ratio import learned, terms
from analysis.formulas.references import by_placement, by_sign, matched, shared
from analysis.measure import Needs, Subject
from analysis.measured import Measured
from analysis.statistics.estimate import Estimate, quotient
from analysis.study import Study

NEEDS = Needs("interactions", each=("pretrain", "finetune", "scratch"))
SUBJECT = Subject("what scratch learns", ("pretrain", "finetune", "scratch"))
PAPER = (0.13, 0.45)  # section 3.2.2
PARTS = ("learned", "preserved")  # numerator and denominator of each definition
DEFINITIONS = {
    "paper": "as in the paper:\nmean over all S, 0/0 = 0",
    "positive": "mean over S with\npreserved > 0",
    "weighted": "weighted by strength:\nΣ min / Σ preserved",
}
IN_WORDS = {"paper": "mean over all S", "positive": "mean over S with P > 0", "weighted": "strength-weighted"}
QUESTION = "How much of the preserved could be learned from scratch?"
TITLE = "Share of the preserved knowledge that training from scratch finds too"
LABELS = {
    "paper": "as in the paper (all S)",
    "positive": "S with preserved > 0",
    "weighted": "weighted by strength",
    "task": "task: another scratch in place of fine-tuned",
    "ceiling": "ceiling: another fine-tuning in place of scratch",
}
CAPTION = (
    "Share of the preserved knowledge that the model trained from scratch holds as well, in the paper's definition and "
    "in two others; the shaded band is the range that the paper reports. Grey lines are references: a bar at the level "
    "of unrelated models says nothing about what training from scratch cannot learn, and where that level and the one "
    "of another fine-tuning are close to each other the ratio has no room to tell models apart."
)


def samples(study: Study) -> Measured:
    """Returns for each definition `learned` and `preserved` [samples], the ratio's numerator and denominator, also at
    equal strengths. Under the references, scratch's interactions change, and the preserved ones stay."""
    return replace(_samples(study), equal=_samples(study.at_equal_strength()))


def _samples(study: Study) -> Measured:
    pretrain, preserved = _preserved(study)
    scratch, kept = study.final("scratch")[:, study.subsets], np.sign(pretrain) * preserved
    levels = {name: of(kept, scratch, study.order) for name, of in (("placement", by_placement), ("sign", by_sign))}
    return Measured(
        _terms(preserved, learned(preserved, pretrain, scratch)),
        {name: _terms(preserved, level) for name, level in levels.items()},
    )


def _preserved(study: Study) -> tuple[np.ndarray, np.ndarray]:
    """Returns the pre-trained model's interactions and the preserved strengths, [samples, subsets]."""
    pretrain, finetune = (study.final(model)[:, study.subsets] for model in ("pretrain", "finetune"))
    return pretrain, shared(pretrain, finetune)


def _terms(preserved: np.ndarray, shared: np.ndarray) -> dict[str, np.ndarray]:
    found = terms(preserved, shared)
    return {f"{name}/{part}": array for name in found for part, array in zip(PARTS, found[name], strict=True)}


def across(study: Study, siblings: list[Study], strangers: list[Study]) -> Measured:
    """Returns the references that need further runs on the same samples. `ceiling`: another fine-tuning of the same
    pre-trained model in the place of scratch; `task`: what one training from scratch learns of what another one
    shares with the pre-trained model."""
    return replace(_across(study, siblings, strangers), equal=_across(
        study.at_equal_strength(), [each.at_equal_strength() for each in siblings],
        [each.at_equal_strength() for each in strangers]))  # fmt: skip


def _across(study: Study, siblings: list[Study], strangers: list[Study]) -> Measured:
    (pretrain, preserved), chosen = _preserved(study), study.subsets
    levels = {}
    if siblings:
        again = [learned(preserved, pretrain, each.final("finetune")[:, chosen]) for each in siblings]
        levels["ceiling"] = _mean([_terms(preserved, each) for each in again])
    scratch = study.final("scratch")[:, chosen]
    finetune = study.final("finetune")[:, chosen]
    others = [each.final("scratch")[:, chosen] for each in (*siblings, *strangers) if "scratch" in each.models]
    if others := [each for each in others if not np.array_equal(each, scratch)]:
        stand_ins = [shared(pretrain, matched(each, finetune, study.order)) for each in others]
        levels["task"] = _mean([_terms(each, learned(each, pretrain, scratch)) for each in stand_ins])
    return Measured({}, levels)


def _mean(found: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    return {name: np.mean([each[name] for each in found], axis=0) for name in found[0]}


def _ratio(measured: Measured, definition: str) -> Estimate:
    return measured.estimate(tuple(f"{definition}/{part}" for part in PARTS), quotient)


def table(measured: Measured) -> pd.DataFrame:
    """Columns: definition, estimate. Values are the share of the preserved that scratch learns."""
    return pd.DataFrame([(definition, _ratio(measured, definition)) for definition in DEFINITIONS],
                        columns=["definition", "estimate"])  # fmt: skip


@rc_context(STYLE)
def figure(table: pd.DataFrame) -> Figure:
    """Draws a bar for each definition, with its interval and references."""
    figure, (axes,) = panels("How much of the preserved knowledge training from scratch finds too")
    rows = table.replace([np.inf, -np.inf], np.nan).set_index("definition").reindex(list(DEFINITIONS))
    x = np.arange(len(rows), dtype=float)
    colour = COLOURS["scratch"]
    axes.axhspan(*PAPER, color=colour, alpha=0.13, linewidth=0, label="paper reports 13% to 45%")
    axes.bar(x, rows["mean"], 0.5, color=colour, label="ratio, with 95% interval")
    axes.vlines(x, rows["low"], rows["high"], color="black", zorder=5)
    reference_marks(axes, x, rows, levels(rows), 0.36, LABELS)
    numbers = rows["mean"].map("{:.1%}".format).replace("nan%", "–")
    axes.set_xticks(x, [f"{DEFINITIONS[name]}\n{number}" for name, number in numbers.items()])
    top = np.nan_to_num(rows[["mean", "high", *levels(rows)]].to_numpy(float)).max()
    axes.set(xlim=(-0.5, len(rows) - 0.5), ylim=(0, max(0.5, 1.08 * top)), ylabel="ratio")
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    return with_legend(figure, 3)


def claims(measured: Measured) -> list[Claim]:
    """The claim of section 3.2.2: 13 % to 45 % in the paper's experiments."""
    return [
        Claim("scratch learns 13 to 45 % of the preserved", f"ratio/{definition}", f"ratio, {IN_WORDS[definition]}",
              _ratio(measured, definition), *PAPER)
        for definition in DEFINITIONS
    ]  # fmt: skip
