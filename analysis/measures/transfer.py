"""What the pre-trained model of one epoch is worth for the target task, frozen or fine-tuned (Figs. 1 and 2 of arXiv
2203.04668). Runs that start from other epochs of the same pre-training make the curves.

Frozen features (FE) get a softmax layer twice: trained with a fixed number of steps, as the paper does, and by the
probe, which solves the convex problem. If later epochs have features of another scale, a fixed number of steps may
leave their layer less finished: what the two differ by is a matter of steps and regularisation (the probe's l2), and
not of the features.
"""

from typing import Annotated

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.figure import Figure

from analysis.cost import of_heads
from analysis.drawing.references import reference_marks
from analysis.drawing.style import STYLE, panels, with_legend
from analysis.formulas.accuracy import chance
from analysis.formulas.softmax import Recipe, predicted, trained
from analysis.measure import Needs, Sizes
from analysis.measured import Measured
from analysis.statistics.estimate import binomial
from analysis.study import Study
from conf.allowed import Choice, Number
from conf.errors import BadInput
from stages.progress import Bar
from stages.span import Span

NEEDS = Needs("representations", each=("pretrain",))
ARXIV = "2203.04668"
QUESTION = "How good is a model that starts from this epoch of pre-training?"
TITLE = "Accuracy on the test set"
LABELS = {
    "source": "pre-trained, on its source task",
    "fe": "frozen features, fixed number of steps (FE)",
    "fe_converged": "frozen features, converged (FE)",
    "fe_gap": "converged - fixed number of steps",
    "ft": "fine-tuned (FT)",
    "chance": "by class frequencies alone",
}
CAPTION = (
    "Accuracy on the test set with 95% intervals: of the pre-trained model on its own task, of a softmax layer on its "
    "frozen features, trained with a fixed number of steps and to convergence, and of the fine-tuned model, all from "
    "one epoch of pre-training. The two layers differ in how far they are trained, and in how they are regularised. "
    "Grey: the most frequent class."
)
MODELS = {"fe_converged": "pretrain", "ft": "finetune"}
COUNT, RATE = Number(1, 10_000_000, whole=True), Number(0, without=(0,))


def samples(
    study: Study,
    optimizer: Annotated[str, Choice(("adam", "sgd"))] = "adam",
    lr: Annotated[float, RATE] = 0.01,
    epochs: Annotated[int, COUNT] = 100,
    iterations: Annotated[int | None, COUNT] = None,
    batch_size: Annotated[int, COUNT] = 128,
    schedule: Annotated[str, Choice(("constant", "step", "cosine"))] = "constant",
    step_epochs: Annotated[int, COUNT] = 30,
    step_factor: Annotated[float, Number(0, 1)] = 0.1,
    average: Annotated[str, Choice(("micro", "macro"))] = "micro",
) -> Measured:
    """Returns for each test sample whether `fe`, `fe_converged` and `ft` are right, [test samples]: 1 or 0, with
    average=macro so weighted that every class counts the same."""
    recipe = Recipe(optimizer, lr, epochs, iterations, batch_size, schedule, step_epochs, step_factor)
    right = {"fe": _fixed_steps(study, recipe)}
    right |= {name: found for name, model in MODELS.items() if (found := _right(study, model)) is not None}
    weight, level = np.ones(len(study.labels)), chance(study.labels)["accuracy"]
    if average == "macro":
        shares = np.bincount(study.labels) / len(study.labels)
        weight, level = 1 / (shares * (shares > 0).sum())[study.labels], 1 / (shares > 0).sum()
    found = {name: each * weight for name, each in right.items()}
    return Measured(found, about={"source": np.array(study.source[1:]), "chance": np.array(level)})


def _right(study: Study, model: str) -> np.ndarray | None:
    """Returns whether a model is right in the end, by its own head, [test samples]; None if that is not known."""
    if model in study.outcomes:
        return study.outcomes[model].correct[:, -1]
    said = study.representations[model].predicted("test") if model in study.representations else None
    return None if said is None else (said == study.labels).astype(float)


def _fixed_steps(study: Study, recipe: Recipe) -> np.ndarray:
    """Trains a softmax layer on the pre-trained features as they are, and returns whether it is right."""
    train, test = (study.representations["pretrain"].features(split)[None] for split in ("train", "test"))
    try:
        with Bar(total=recipe.steps(train.shape[1]), desc="softmax layer on frozen features", leave=False) as bar:
            heads = trained(train, study.train_labels, study.classes, recipe, study.options.seed, bar.update)
    except ValueError as error:
        raise BadInput(f"transfer: {error}: lower analysis.options.transfer.lr") from None
    return (predicted(heads, test)[0] == study.labels).astype(float)


def memory(sizes: Sizes, **_: object) -> int:
    """Returns bytes: the features, twice, in float32."""
    return 2 * 4 * (sizes.train + sizes.test) * sizes.widths["penultimate"]


def seconds(sizes: Sizes, average: str, **recipe: object) -> Span:
    return of_heads(Recipe(**recipe), 1, sizes.train, sizes.widths["penultimate"], sizes.classes)


def table(measured: Measured) -> pd.DataFrame:
    """Columns: quantity (source, fe, fe_converged, fe_gap, ft), estimate, chance. The source task's images are others:
    its accuracy has the interval of a share (Wilson), and no level."""
    accuracy, inputs = measured.about["source"]
    rows = [("source", binomial(accuracy, int(inputs), measured.samples), np.nan)] if inputs else []
    level = float(measured.about["chance"])
    rows += [(name, measured.estimate(name), level) for name in measured.observed]
    if "fe_converged" in measured.observed:
        gap = measured.estimate(("fe_converged", "fe"), lambda converged, fixed: converged - fixed)
        rows.insert(-1 if "ft" in measured.observed else len(rows), ("fe_gap", gap, np.nan))
    return pd.DataFrame(rows, columns=["quantity", "estimate", "chance"])


@rc_context(STYLE)
def figure(table: pd.DataFrame) -> Figure:
    """Draws a point with its interval for each accuracy."""
    figure, (axes,) = panels("What the pre-trained model is worth for the target task", height=3.4)
    rows = table[table["quantity"] != "fe_gap"].reset_index(drop=True)
    at = np.arange(len(rows))
    axes.hlines(at, rows["low"], rows["high"], color="black", linewidth=1.4)
    axes.plot(rows["mean"], at, "o", color="#0072B2", label="accuracy, with its 95% interval")
    reference_marks(axes, at.astype(float), rows, ["chance"], 0.3, LABELS, upright=True)
    axes.set_yticks(at, [LABELS[name].replace(", ", ",\n") for name in rows["quantity"]])
    axes.set(xlabel="accuracy on the test set", xlim=(min(0.0, rows["low"].min()), 1.02), ylim=(len(rows) - 0.4, -0.6))
    return with_legend(figure, 2)
