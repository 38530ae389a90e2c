"""How much of the preserved knowledge training from scratch learns (Fig. 3 and section 3.2.2 of arXiv 2410.08455)."""

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from analysis.claims import Claim
from analysis.drawing.references import across, levels
from analysis.drawing.style import COLOURS, STYLE, panels, with_legend
from analysis.formulas.decomposition import decompose
from analysis.formulas.ratio import learned, terms
from analysis.measure import Needs, Subject
from analysis.measured import Measured
from analysis.statistics.chance import under_chance
from analysis.statistics.estimate import COLUMNS, Estimate, quotient
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
    """Returns for each definition `learned` and `preserved` [samples], the ratio's numerator and denominator. Chance
    permutes the interactions of the model trained from scratch."""
    pretrain, finetune, scratch = (study.final(model) for model in ("pretrain", "finetune", "scratch"))
    chosen = study.subsets
    preserved, pretrain = decompose(pretrain, finetune).preserved[:, chosen], pretrain[:, chosen]

    def both(other: np.ndarray) -> dict[str, np.ndarray]:
        found = terms(preserved, learned(preserved, pretrain, other[:, chosen]))
        return {f"{name}/{part}": array for name in found for part, array in zip(PARTS, found[name], strict=True)}

    return Measured(both(scratch), under_chance(both, scratch, study.permutations))


def _ratio(measured: Measured, weights: np.ndarray, definition: str) -> Estimate:
    return measured.estimate(tuple(f"{definition}/{part}" for part in PARTS), weights, quotient)


def table(measured: Measured, weights: np.ndarray) -> pd.DataFrame:
    """Columns: definition, mean, low, high, chance. Values are the share of the preserved that scratch learns."""
    rows = [(definition, *_ratio(measured, weights, definition).row()) for definition in DEFINITIONS]
    return pd.DataFrame(rows, columns=["definition", *COLUMNS])


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
    across(axes, x, rows, levels(rows), 0.36, LABELS)
    numbers = rows["mean"].map("{:.1%}".format).replace("nan%", "–")
    axes.set_xticks(x, [f"{DEFINITIONS[name]}\n{number}" for name, number in numbers.items()])
    top = np.nan_to_num(rows[["mean", "high", *levels(rows)]].to_numpy(float)).max()
    axes.set(xlim=(-0.5, len(rows) - 0.5), ylim=(0, max(0.5, 1.08 * top)), ylabel="ratio")
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    return with_legend(figure, 3)


def claims(measured: Measured, weights: np.ndarray) -> list[Claim]:
    """The claim of section 3.2.2: 13 % to 45 % in the paper's experiments."""
    return [
        Claim("scratch learns 13 to 45 % of the preserved", f"ratio, {IN_WORDS[definition]}",
              _ratio(measured, weights, definition), *PAPER)
        for definition in DEFINITIONS
    ]  # fmt: skip
