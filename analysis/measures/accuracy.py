"""Accuracy and loss on the test set, epoch by epoch (footnote 5 of arXiv 2410.08455)."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis.claims import Claim
from analysis.drawing.curves import two_panels
from analysis.drawing.style import NAMES
from analysis.formulas.accuracy import chance, epochs_to_reach
from analysis.measure import Needs, Subject
from analysis.measured import Measured
from analysis.study import Study

NEEDS = Needs("predictions")
SUBJECT = Subject("accuracy", ("finetune",))
QUANTITIES = ("accuracy", "loss")
QUESTION = "How much better and sooner does fine-tuning learn the task?"
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


def table(measured: Measured) -> pd.DataFrame:
    """Columns: model, epoch, quantity (accuracy, loss), estimate, chance. The pre-trained model is its probe."""
    levels, rows = chance(measured.about["labels"]), []
    for model in measured.about["models"].tolist():
        for quantity in QUANTITIES:
            each = enumerate(measured.estimate(f"{quantity}/{model}").rows())
            rows += [(model, epoch, quantity, estimate, levels[quantity]) for epoch, estimate in each]
    return pd.DataFrame(rows, columns=["model", "epoch", "quantity", "estimate", "chance"])


def figure(table: pd.DataFrame) -> Figure:
    """Draws test accuracy and loss over epochs; the last value of the linear probe is a horizontal line."""
    title = "How fast and how far the models learn the target task (test set)"
    return two_panels(title, table, {"accuracy": "accuracy", "loss": "cross-entropy (nats)"}, LABELS)


def claims(measured: Measured) -> list[Claim]:
    """The claims of footnote 5, and whether fine-tuning is worth it at all: each if the models it needs are there."""
    models, on = measured.about["models"], f"on {measured.samples} test samples"
    found = _against_scratch(measured, on) if "scratch" in models else []
    if "pretrain" in models:
        over = measured.estimate(("accuracy/finetune", "accuracy/pretrain"), _difference)
        found.append(Claim("fine-tuning is more accurate than the frozen features", "accuracy/over_probe",
                           f"final accuracy {on}, fine-tuned - linear probe", over, above=0))  # fmt: skip
    return found


def _difference(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return first[:, -1] - second[:, -1]


def _against_scratch(measured: Measured, on: str) -> list[Claim]:
    both = ("accuracy/finetune", "accuracy/scratch")

    def saved(of_finetune: np.ndarray, of_scratch: np.ndarray) -> np.ndarray:
        target = 0.95 * of_scratch[:, -1]
        return (epochs_to_reach(of_scratch, target) - epochs_to_reach(of_finetune, target)).astype(float)

    level = chance(measured.about["labels"])["accuracy"]
    flat = [name for name in both if measured.observed[name].mean(0).max() <= level]
    never = f"{NAMES[flat[0].partition('/')[2]]} never left the most frequent class" if flat else ""
    return [
        Claim("fine-tuning is more accurate than training from scratch", "accuracy/gain",
              f"final accuracy {on}, fine-tuned - scratch", measured.estimate(both, _difference), above=0,
              impossible=never if len(flat) == 2 else ""),
        Claim("fine-tuning converges sooner", "accuracy/sooner",
              f"epochs to 95 % of scratch's final accuracy {on}, scratch - fine-tuned",
              measured.estimate(both, saved, steps=True), above=0, impossible=never),
    ]  # fmt: skip
