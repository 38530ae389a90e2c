"""How every training went: loss and accuracy on training and test set after each epoch (Fig. 2 of arXiv 2207.09225).

Labels that say nothing are learned by heart: accuracy rises on the training set alone, and later. The pre-training's
sets are those of its own source task.

    train_loss, train_accuracy    means over an epoch's batches, as the weights were at each of them; no epoch 0
    test_loss, test_accuracy      of the weights after the epoch
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from analysis.drawing.references import levels, style, words
from analysis.drawing.style import COLOURS, MARKERS, NAMES, STYLE, panels, with_legend
from analysis.formulas.accuracy import chance
from analysis.measure import Needs
from analysis.measured import Measured
from analysis.statistics.estimate import Estimate, binomial, exact, jackknife
from analysis.study import Study

NEEDS = Needs("trainings", some=("finetune", "scratch"))
ARXIV = "2207.09225"
QUESTION = "How did the trainings go?"
TITLE = "Loss and accuracy of each training"
LABELS = {
    "train_loss": "loss on the training set",
    "test_loss": "loss on the test set",
    "train_accuracy": "accuracy on the training set",
    "test_accuracy": "accuracy on the test set",
    "chance": "by class frequencies alone",
}
CAPTION = (
    "Loss and accuracy after each epoch: lines with marks are on the test set, with 95% intervals as bands; dotted "
    "lines are on the training set, as means over the epoch's batches. The pre-training is on its source task. Grey is "
    "a classifier that knows how frequent the classes of the test set are, and nothing of the input. What is learned "
    "by heart rises on the training set alone."
)
QUANTITIES = ("loss", "accuracy")


def samples(study: Study) -> Measured:
    """Returns of each model of the target task `test_loss` (nats) and `test_accuracy` (1 where it is right), [test
    samples, epochs + 1]. About each training: `train` and `test`, [epochs + 1, 2], mean loss and accuracy; of the
    pre-training `loss`, [epochs + 1, 3], mean test loss with its interval, and `inputs`, how many it was tested on."""
    found, about = {}, {"models": np.array(list(study.curves)), "labels": study.labels}
    for model, curves in study.curves.items():
        about |= {f"train/{model}": curves.train, f"test/{model}": curves.test}
        if model in study.outcomes:
            correct, losses = study.outcomes[model]
            found |= {f"test_loss/{model}": losses, f"test_accuracy/{model}": correct}
        else:
            loss = np.stack(jackknife((curves.losses,))[:3], axis=1)
            about |= {f"loss/{model}": loss, f"inputs/{model}": np.array(len(curves.losses))}
    return Measured(found, about=about)


def table(measured: Measured) -> pd.DataFrame:
    """Columns: model, quantity, epoch, estimate, chance. On the training set there is no interval over samples: the
    epoch's batches were seen by other weights each, and all of them are there. Chance is known of the target's test
    set."""
    level, rows = chance(measured.about["labels"]), []
    for model in measured.about["models"].tolist():
        for place, name in enumerate(QUANTITIES):
            trained = enumerate(measured.about[f"train/{model}"][:, place])
            rows += [(model, f"train_{name}", epoch, exact(float(value), measured.samples), np.nan)
                     for epoch, value in trained if epoch]  # fmt: skip
            tested, by_chance = f"test_{name}", level[name] if f"test_{name}/{model}" in measured.observed else np.nan
            rows += [
                (model, tested, epoch, each, by_chance) for epoch, each in enumerate(_tested(measured, model, name))
            ]
    return pd.DataFrame(rows, columns=["model", "quantity", "epoch", "estimate", "chance"])


def _tested(measured: Measured, model: str, name: str) -> Iterator[Estimate]:
    """Yields the estimate of each epoch. The source task's inputs are others than the measured samples."""
    if f"test_{name}/{model}" in measured.observed:
        yield from measured.estimate(f"test_{name}/{model}").rows()
    elif name == "accuracy":
        count = int(measured.about[f"inputs/{model}"])
        yield from (binomial(float(share), count, measured.samples) for share in measured.about[f"test/{model}"][:, 1])
    else:
        for value, low, high in measured.about[f"loss/{model}"].tolist():
            known = exact(value, measured.samples)
            yield Estimate(known.own._replace(low=low, high=high))


@rc_context(STYLE)
def figure(table: pd.DataFrame) -> Figure:
    """Draws a panel for loss and one for accuracy."""
    figure, both = panels("How the trainings went", len(QUANTITIES))
    for axes, name, label in zip(both, QUANTITIES, ("cross-entropy (nats)", "accuracy"), strict=True):
        for model in table["model"].unique():
            _curves(axes, model, *(_rows(table, model, f"{split}_{name}") for split in ("test", "train")))
        known = table[(table["quantity"] == f"test_{name}") & table["chance"].notna()].drop_duplicates("epoch")
        for reference in levels(known):
            axes.plot(known["epoch"], known[reference], **style(reference, [reference]), label=words(reference, LABELS),
                      markevery=1 + len(known) // 8)  # fmt: skip
        axes.set(xlabel="epoch", ylabel=label)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    both[0].set_ylim(bottom=0)
    both[1].yaxis.set_major_formatter(PercentFormatter(1))
    return with_legend(figure, 4)


def _rows(table: pd.DataFrame, model: str, quantity: str) -> pd.DataFrame:
    return table[(table["model"] == model) & (table["quantity"] == quantity)].sort_values("epoch")


def _curves(axes: Axes, model: str, test: pd.DataFrame, train: pd.DataFrame) -> None:
    colour, every = COLOURS[model], 1 + len(test) // 25
    axes.plot(test["epoch"], test["mean"], color=colour, marker=MARKERS[model], markevery=every,
              label=f"{NAMES[model]}, test set")  # fmt: skip
    axes.fill_between(test["epoch"], test["low"], test["high"], color=colour, alpha=0.2, linewidth=0)
    axes.plot(train["epoch"], train["mean"], color=colour, linestyle=":", label=f"{NAMES[model]}, training set")
