"""Accuracy and loss on the test set, epoch by epoch (footnote 5 of arXiv 2410.08455)."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis.claims import Claim
from analysis.drawing.curves import two_panels
from analysis.formulas.accuracy import chance, epochs_to_reach
from analysis.measure import Needs, Subject
from analysis.measured import Measured
from analysis.statistics.estimate import COLUMNS, estimate
from analysis.study import Study

NEEDS = Needs("predictions")
SUBJECT = Subject("accuracy", ("finetune", "scratch"))
QUANTITIES = ("accuracy", "loss")
TITLE = "Accuracy and loss (cross-entropy, nats) on the test set"
LABELS = {"pretrain": "pre-trained (epochs of the probe)", "chance": "by class frequencies alone"}
CAPTION = (
    "Accuracy and loss on the test set after each epoch, with 95% intervals as bands. A dashed line is the pre-trained "
    "model through its linear probe: what its features are worth without any fine-tuning. Grey is a classifier that "
    "knows how frequent the classes are, and nothing of the input."
)


def samples(study: Study) -> Measured:
    """Returns each model's `accuracy` (1 where it is right) and `loss` (nats), [test samples, epochs + 1]."""
    found = {}
    for model, (correct, losses) in study.outcomes.items():
        found |= {f"accuracy/{model}": correct, f"loss/{model}": losses}
    return Measured(found, about={"models": np.array(list(study.outcomes)), "labels": study.labels})


def table(measured: Measured, weights: np.ndarray) -> pd.DataFrame:
    """Columns: model, epoch, quantity (accuracy, loss), mean, low, high, chance. The pre-trained model is its probe."""
    levels, rows = chance(measured.about["labels"]), []
    for model in measured.about["models"].tolist():
        for quantity in QUANTITIES:
            result = measured.estimate(f"{quantity}/{model}", weights)
            result = result._replace(chance=np.full_like(result.mean, levels[quantity]))
            rows += [(model, epoch, quantity, *values) for epoch, values in enumerate(result.rows())]
    return pd.DataFrame(rows, columns=["model", "epoch", "quantity", *COLUMNS])


def figure(table: pd.DataFrame) -> Figure:
    """Draws test accuracy and loss over epochs; the last value of the linear probe is a horizontal line."""
    title = "How fast and how far the models learn the target task (test set)"
    return two_panels(title, table, {"accuracy": "accuracy", "loss": "cross-entropy (nats)"}, LABELS)


def claims(measured: Measured, weights: np.ndarray) -> list[Claim]:
    """The claims of footnote 5. Their chance level is a difference of 0 between the models."""
    finetune, scratch = (measured.observed[f"accuracy/{model}"] for model in ("finetune", "scratch"))

    def difference(of_finetune: np.ndarray, of_scratch: np.ndarray) -> np.ndarray:
        return of_finetune[:, -1] - of_scratch[:, -1]

    def saved(of_finetune: np.ndarray, of_scratch: np.ndarray) -> np.ndarray:
        target = 0.95 * of_scratch[:, -1]
        return (epochs_to_reach(of_scratch, target) - epochs_to_reach(of_finetune, target)).astype(float)

    better, faster = (
        estimate((finetune, scratch), [(scratch, scratch)], weights, statistic) for statistic in (difference, saved)
    )
    on = f"on {len(scratch)} test samples"
    return [
        Claim("fine-tuning is more accurate", f"final accuracy {on}, fine-tuned - scratch", better, above=0),
        Claim("fine-tuning converges sooner", f"epochs to 95 % of scratch's final accuracy {on}, scratch - fine-tuned",
              faster, above=0),
    ]  # fmt: skip
