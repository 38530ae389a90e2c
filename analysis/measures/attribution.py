"""Do the models give credit to the same variables? Compares the Shapley values of two models on the same samples.

Interactions say which variables a model uses together; their Shapley values say how much each variable adds to the
answer by itself, all its interactions shared out. Two models may agree on that and not on the interactions.
"""

from collections.abc import Callable
from itertools import combinations

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from analysis.drawing.references import levels, reference_marks
from analysis.drawing.style import COLOURS, NAMES, STYLE, panels, with_legend
from analysis.formulas.attribution import WAYS, agreement, by_placement, scores, telling
from analysis.measure import Needs
from analysis.measured import Measured
from analysis.measures.knockout import of_group
from analysis.study import Study
from interactions.indices import shapley
from interactions.mobius import interactions

NEEDS = Needs("interactions")
PAIRS = tuple(combinations(("pretrain", "finetune", "scratch"), 2))
NOISE = 4  # times that of the values: noise alone makes Shapley values differ by less
TITLES = {
    "cosine": "same direction\n(cosine similarity)",
    "rank": "same order\n(rank correlation)",
    "top": "same top variable\n(share of samples)",
}
QUESTION = "Do the models give credit to the same variables?"
TITLE = "Agreement of two models' Shapley values"
LABELS = {
    "first": "one model",
    "second": "the other model",
    "cosine": "cosine similarity",
    "rank": "rank correlation",
    "top": "same top variable",
    "counted": "share of samples that count",
    "placement": "placement: the same values at other variables",
}
CAPTION = (
    "Agreement of two models on how much each variable of a sample adds to the log-odds of the true class (its Shapley "
    "value), as means over samples with 95% intervals: how alike all values are in proportion, how alike their order "
    "is, and how often the same variable adds the most. 1 is full agreement. Grey lines are references: what the same "
    "values would give at other variables (placement), and, for what fine-tuning keeps, how much a model that was "
    "trained from scratch agrees with the pre-trained one (task). All interactions count, as only these add up to the "
    "answer. A sample is left out where one of the two models gives all variables the same, but for noise."
)


def samples(study: Study) -> Measured:
    """Returns for each pair of models which samples count ("pretrain-finetune", 1 or 0), and of these each of WAYS
    ("cosine/pretrain-finetune"), 0 for all others: [samples] each. About: each model's Shapley values after the last
    epoch, `shapley/<model>` [samples, n], in log-odds; NaN where they differ by no more than noise.

    The analysis' options, such as `salient`, change nothing: only all interactions add up to the answer, and agreement
    has no scale.
    """
    credit = {model: _credit(study, model) for model in study.models}
    observed, levels = {}, {"placement": {}, "task": {}}
    for pair in [pair for pair in PAIRS if {*pair} <= credit.keys()]:
        first, second = (credit[model] for model in pair)
        observed |= _compared(pair, first, second)
        levels["placement"] |= _compared(pair, first, second, by_placement)
        if pair == PAIRS[0] and "scratch" in credit:
            levels["task"] |= _compared(pair, first, credit["scratch"])
    about = {f"shapley/{model}": values for model, values in credit.items()}
    return Measured(observed, {name: level for name, level in levels.items() if level}, about=about)


def lacks(study: Study) -> str:
    """Two models are compared."""
    return "" if len(study.models) > 1 else "no second model"


def _credit(study: Study, model: str) -> np.ndarray:
    """Returns the Shapley values after the last epoch, [samples, n]."""
    found = shapley(interactions(study.values(model, study.last(model))))
    return telling(found, NOISE * study.noise(model).size)


def _compared(
    pair: tuple[str, str], first: np.ndarray, second: np.ndarray, of: Callable = agreement
) -> dict[str, np.ndarray]:
    found = {way: of(scores(first, way), scores(second, way)) for way in WAYS}
    name, counted = "-".join(pair), np.isfinite(found["cosine"])
    return {name: counted.astype(float)} | {f"{way}/{name}": np.where(counted, found[way], 0.0) for way in WAYS}


def across(study: Study, siblings: list[Study], strangers: list[Study]) -> Measured:
    """Returns the references that need further runs on the same samples, the mean over these. `ceiling`: another
    fine-tuning of the same pre-trained model in the place of the one that the fine-tuned model is compared with;
    `other`: the model that was fine-tuned from another pre-training in the place of the fine-tuned one."""
    credit, levels = {model: _credit(study, model) for model in study.models}, {}
    again, from_another = ([_credit(each, "finetune") for each in runs if "finetune" in each.models]
                           for runs in (siblings, strangers))  # fmt: skip
    for pair in [pair for pair in PAIRS if {*pair} <= credit.keys() and "finetune" in pair]:
        if again:
            levels.setdefault("ceiling", {}).update(_mean(pair, credit["finetune"], again))
        if from_another and pair == PAIRS[0]:
            levels["other"] = _mean(pair, credit["pretrain"], from_another)
    return Measured({}, levels)


def _mean(pair: tuple[str, str], model: np.ndarray, others: list[np.ndarray]) -> dict[str, np.ndarray]:
    """Returns the means over the others; those that do not count in a sample are left out of it."""
    found = [_compared(pair, model, other) for other in others]
    return {name: np.mean([each[name] for each in found], axis=0) for name in found[0]}


def table(measured: Measured) -> pd.DataFrame:
    """Columns: first, second (models), quantity (WAYS; counted: the share of the samples that count), estimate. There
    are no intervals where fewer than five samples count."""
    rows = []
    for pair in [pair for pair in PAIRS if "-".join(pair) in measured.observed]:
        name = "-".join(pair)
        rows += [(*pair, way, of_group(measured, way, name)) for way in WAYS]
        rows.append((*pair, "counted", measured.estimate(name, alone=True)))
    return pd.DataFrame(rows, columns=["first", "second", "quantity", "estimate"])


@rc_context(STYLE)
def figure(table: pd.DataFrame) -> Figure:
    """Draws a panel for each way to compare, with a bar for each pair of models."""
    figure, every = panels("Do the models give credit to the same variables?", len(WAYS), height=4.2)
    for axes, way in zip(every, WAYS, strict=True):
        _bars(axes, table[table["quantity"] == way].replace([np.inf, -np.inf], np.nan))
        axes.set_title(TITLES[way], fontsize=10.5)
        axes.set_ylim(top=max(1.03, axes.get_ylim()[1]))
    every[-1].yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    return with_legend(figure, 2)


def _bars(axes: Axes, rows: pd.DataFrame) -> None:
    """The colour is that of the second model of a pair."""
    x = np.arange(len(rows), dtype=float)
    axes.bar(x, rows["mean"], 0.55, color=[COLOURS[model] for model in rows["second"]])
    axes.vlines(x, rows["low"], rows["high"], color="black", zorder=5)
    reference_marks(axes, x, rows, levels(rows), 0.38, LABELS)
    axes.axhline(0, color="black", linewidth=0.8)
    pairs = zip(rows["first"], rows["second"], strict=True)
    axes.set_xticks(x, [f"{NAMES[first]},\n{NAMES[second]}" for first, second in pairs], fontsize=8.5)
    axes.set_xlim(-0.5, max(len(rows), 1) - 0.5)
