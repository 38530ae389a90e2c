"""How soon and how steadily models reach the knowledge they end with (Fig. 4, section 3.2.3 of arXiv 2410.08455)."""

from dataclasses import replace

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.figure import Figure

from analysis.claims import Claim
from analysis.drawing.curves import curves, with_models
from analysis.drawing.style import NAMES, STYLE, panels
from analysis.formulas.jaccard import jaccard, of_smaller
from analysis.formulas.references import by_placement, by_sign
from analysis.measure import Needs, Subject
from analysis.measured import Measured
from analysis.study import Study

MODELS = ("finetune", "scratch")
NEEDS = Needs("interactions", some=MODELS)
SUBJECT = Subject("how directly models learn", MODELS)
QUESTION = "How soon do the models hold what they end with?"
TITLE = "Jaccard similarity of interactions to those of the last epoch"
CAPTION = (
    "Similarity of each epoch's interactions to those after the last epoch, which is 1 there by definition; a curve "
    "that rises early belongs to a model that soon knows what it will know. Bands are 95% intervals. Grey lines are "
    "references: what the similarity comes to without shared knowledge, and between two trainings. Where the learning "
    "rate falls to 0, the last epochs are alike whatever the model has learned."
)
LABELS = {"ceiling": "ceiling: last epochs of two trainings"}
SCHEDULES = {
    "cosine": "cosine, falls to 0: the last epochs can't differ",
    "step": "falls in steps",
    "constant": "constant",
}


def samples(study: Study) -> Measured:
    """Returns each trained model's similarity to its last epoch [samples, epochs], also at equal strengths."""
    found = _samples(study)
    return found if study.bare else replace(found, equal=_samples(study.at_equal_strength()))


def _samples(study: Study) -> Measured:
    references = {} if study.bare else {"placement": by_placement, "sign": by_sign}
    observed, levels, about, chosen = {}, {name: {} for name in references}, {}, study.subsets
    for model in [model for model in MODELS if model in study.models]:
        last, found = study.final(model)[:, chosen], []
        for epoch in study.epochs(model):
            strength = study.interactions(model, epoch)[:, chosen]
            smaller = (of(strength, last, study.order).sum(1) for of in references.values())
            found.append((jaccard(strength, last), *(of_smaller(strength, last, each) for each in smaller)))
        observed[model], *of_levels = np.stack(found, axis=-1)
        for name, level in zip(references, of_levels, strict=True):
            levels[name][model] = level
        about[f"epochs/{model}"] = np.array(study.epochs(model))
        about[f"schedule/{model}"] = np.array(study.schedules.get(model, ""))
    return Measured(observed, levels, about=about)


def across(study: Study, siblings: list[Study], strangers: list[Study]) -> Measured:
    """Returns the `ceiling`: how similar the last epochs of two trainings are, the mean over further trainings."""
    return replace(_across(study, siblings), equal=_across(
        study.at_equal_strength(), [each.at_equal_strength() for each in siblings]))  # fmt: skip


def _across(study: Study, siblings: list[Study]) -> Measured:
    level, chosen = {}, study.subsets
    for model in [model for model in MODELS if model in study.models]:
        last = study.final(model)[:, chosen]
        again = [each.final(model)[:, chosen] for each in siblings if model in each.models]
        if found := [jaccard(each, last) for each in again if not np.array_equal(each, last)]:
            level[model] = np.mean(found, axis=0)[:, None]  # the same at every epoch
    return Measured({}, {"ceiling": level} if level else {})


def table(measured: Measured) -> pd.DataFrame:
    """Columns: model, epoch, estimate. Values are similarities to the model's last epoch."""
    rows = [
        (model, epoch, estimate)
        for model in measured.observed
        for epoch, estimate in zip(measured.about[f"epochs/{model}"], measured.estimate(model).rows(), strict=True)
    ]
    found = pd.DataFrame(rows, columns=["model", "epoch", "estimate"])
    found.attrs["schedule"] = {model: str(measured.about[f"schedule/{model}"]) for model in measured.observed}
    return found


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


def claims(measured: Measured) -> list[Claim]:
    """The claims of section 3.2.3. They compare epochs of one model: the probe's scale does not matter."""
    measured = replace(measured, equal=None)
    early = [early_epochs(measured.about[f"epochs/{model}"].tolist()) for model in MODELS]

    def sooner(of_finetune: np.ndarray, of_scratch: np.ndarray) -> np.ndarray:
        return of_finetune[:, early[0]].mean(-1) - of_scratch[:, early[1]].mean(-1)

    def steadier(of_finetune: np.ndarray, of_scratch: np.ndarray) -> np.ndarray:
        return falls(of_scratch) - falls(of_finetune)

    steadily, curves = "fine-tuning learns it more steadily", [measured.observed[model] for model in MODELS]
    each = Measured({"falls": steadier(*curves)})
    alone = "there is one epoch alone" if any(curve.shape[1] < 2 for curve in curves) else ""
    never = "" if any(falls(curve.mean(0)) > 0 for curve in curves) else "no curve falls"
    return [
        Claim("fine-tuning learns its target knowledge sooner", "jaccard/early",
              "Jaccard similarity in the first third of the epochs, fine-tuned - scratch",
              measured.estimate(MODELS, sooner), above=0, impossible=alone),
        Claim(steadily, "jaccard/falls", "falls of the Jaccard curve (mean over samples), summed, scratch - fine-tuned",
              measured.estimate(MODELS, steadier, steps=True), above=0, impossible=alone or never),
        Claim(steadily, "jaccard/falls_each", "falls of each sample's Jaccard curve, summed, mean over samples, "
              "scratch - fine-tuned", each.estimate("falls"), above=0, impossible=alone),
    ]  # fmt: skip


def early_epochs(epochs: list[int]) -> list[int]:
    """Returns the positions of the epochs in the first third, without epoch 0 and the last one if others remain."""
    third = max(1, epochs[-1] / 3)
    early = [i for i, epoch in enumerate(epochs[:-1]) if epoch <= third]
    return [i for i in early if epochs[i] > 0] or early or [0]


def falls(curve: np.ndarray) -> np.ndarray:
    """Returns how far a curve [..., epochs] falls in total: the sum of its decreases from one epoch to the next."""
    return np.maximum(curve[..., :-1] - curve[..., 1:], 0).sum(-1)
