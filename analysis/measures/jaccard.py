"""How soon and how steadily models reach the knowledge they end with (Fig. 4, section 3.2.3 of arXiv 2410.08455)."""

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.figure import Figure

from analysis.claims import Claim
from analysis.drawing.curves import curves, with_models
from analysis.drawing.style import NAMES, STYLE, panels
from analysis.formulas.jaccard import jaccard
from analysis.measure import Needs, Subject
from analysis.measured import Measured
from analysis.statistics.chance import over_epochs
from analysis.statistics.estimate import COLUMNS
from analysis.study import Study

MODELS = ("finetune", "scratch")
NEEDS = Needs("interactions", some=MODELS)
SUBJECT = Subject("how directly models learn", MODELS)
TITLE = "Jaccard similarity of interactions to those of the last epoch"
CAPTION = (
    "Similarity of each epoch's interactions to those after the last epoch, which is 1 there by definition; a curve "
    "that rises early belongs to a model that soon knows what it will know. Bands are 95% intervals. Grey lines are "
    "references: what the similarity comes to without shared knowledge, and between two trainings. Where the learning "
    "rate falls to 0, the last epochs are alike whatever the model has learned."
)
LABELS = {"ceiling": "ceiling: last epochs of two fine-tunings"}
SCHEDULES = {"cosine": "cosine, falls to 0: the last epochs can't differ", "constant": "constant"}


def samples(study: Study) -> Measured:
    """Returns each trained model's similarity to its last epoch [samples, epochs]; chance permutes each epoch's
    interactions."""
    observed, chance, about, chosen = {}, {}, {}, study.subsets
    for model in [model for model in MODELS if model in study.models]:
        last, epochs = study.final(model)[:, chosen], study.epochs(model)

        def similarity(strength: np.ndarray, model: str = model, last: np.ndarray = last) -> dict[str, np.ndarray]:
            return {model: jaccard(strength[:, chosen], last)}

        each = (study.interactions(model, epoch) for epoch in epochs)
        found, draws = over_epochs(similarity, each, study.permutations)
        observed |= found
        chance |= draws.get("chance", {})
        about[f"epochs/{model}"] = np.array(epochs)
    return Measured(observed, {"chance": chance} if chance else {}, about)


def table(measured: Measured, weights: np.ndarray) -> pd.DataFrame:
    """Columns: model, epoch, mean, low, high, chance. Values are similarities to the model's last epoch."""
    rows = [
        (model, epoch, *values)
        for model in measured.observed
        for epoch, values in zip(
            measured.about[f"epochs/{model}"], measured.estimate(model, weights).rows(), strict=True
        )
    ]
    return pd.DataFrame(rows, columns=["model", "epoch", *COLUMNS])


@rc_context(STYLE)
def figure(table: pd.DataFrame) -> Figure:
    """Draws a curve over epochs for each model."""
    figure, (axes,) = panels("How soon the models hold the knowledge they end with")
    curves(axes, table, LABELS)
    axes.set(ylim=(0, 1.03), ylabel="Jaccard similarity to the last epoch")
    if note := rate_note(table.attrs.get("schedule") or {}):
        axes.set_xlabel(f"epoch\n{note}")
    return with_models(figure, 4)


def rate_note(schedule: dict[str, str]) -> str:
    """Says how the learning rate changes: schedule of each model, such as {"finetune": "cosine"}."""
    each = {model: SCHEDULES.get(name, name) for model, name in schedule.items() if name}
    if len(set(each.values())) < 2:
        return "".join(f"learning rate: {text}" for text in set(each.values()))
    return "learning rate: " + "\n".join(f"{NAMES.get(model, model)}: {text}" for model, text in each.items())


def claims(measured: Measured, weights: np.ndarray) -> list[Claim]:
    """The claims of section 3.2.3."""
    early = [early_epochs(measured.about[f"epochs/{model}"].tolist()) for model in MODELS]

    def sooner(of_finetune: np.ndarray, of_scratch: np.ndarray) -> np.ndarray:
        return of_finetune[:, early[0]].mean(-1) - of_scratch[:, early[1]].mean(-1)

    def steadier(of_finetune: np.ndarray, of_scratch: np.ndarray) -> np.ndarray:
        return falls(of_scratch) - falls(of_finetune)

    quick, steady = (measured.estimate(MODELS, weights, statistic) for statistic in (sooner, steadier))
    return [
        Claim("fine-tuning learns its target knowledge sooner",
              "Jaccard similarity in the first third of the epochs, fine-tuned - scratch", quick, above=0),
        Claim("fine-tuning learns it more steadily",
              "sum of the Jaccard curve's falls, scratch - fine-tuned", steady, above=0),
    ]  # fmt: skip


def early_epochs(epochs: list[int]) -> list[int]:
    """Returns the positions of the epochs in the first third, without epoch 0 and the last one if others remain."""
    third = max(1, epochs[-1] / 3)
    early = [i for i, epoch in enumerate(epochs[:-1]) if epoch <= third]
    return [i for i in early if epochs[i] > 0] or early or [0]


def falls(curve: np.ndarray) -> np.ndarray:
    """Returns how far a curve [..., epochs] falls in total: the sum of its decreases from one epoch to the next."""
    return np.maximum(curve[..., :-1] - curve[..., 1:], 0).sum(-1)
