"""How far does each layer move? Centred kernel alignment (CKA) of every epoch with another model, layer by layer.

A CKA of 1 says that two layers place the inputs alike, up to rotation and scale. The main estimate is debiased on all
inputs; the biased one, which most papers report, grows with the width of a layer, so that layers of different width
can't be compared by it. Beside each stands the same after a random move of the weights as long as that of training:
early layers change less in that, too. What is computed, and how, representations/similarity.py says. The study is that
of Goerttler and Obermayer (arXiv 2207.09225).
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis.drawing import similarity as drawn
from analysis.measure import Needs
from analysis.measured import Measured
from analysis.statistics.estimate import Estimate, exact
from analysis.study import Study

NEEDS = Needs("similarity")
ARXIV = "2207.09225"
QUESTION = "How far does each layer move?"
TITLE = "Similarity of layers (CKA) to another model"
ESTIMATES = {"cka": "debiased", "cka_biased": "biased", "cka_minibatch": "minibatch"}
NUMBERS = ("calibrated", "p", "procrustes")  # of the last epoch, without an interval over inputs
KEYS = ["quantity", "model", "against", "layer", "epoch"]
LABELS = {
    "pretrain": "pre-training",
    "finetune": "fine-tuning",
    "scratch": "training from scratch",
    "initial": "before any training",
    "random": "after a random move of the weights",
    "cka": "CKA (debiased)",
    "cka_biased": "CKA (biased)",
    "cka_minibatch": "CKA (mean over minibatches)",
    "calibrated": "CKA beyond permuted inputs",
    "p": "p of permuted inputs",
    "neighbours": "shared nearest neighbours",
    "procrustes": "Procrustes distance",
    "statistics": "batch-norm statistics alone",
}
CAPTION = (
    "How similar each layer is to the same layer of another model, on the same test inputs: 1 means alike up to "
    "rotation and scale, 0 what layers have that share nothing (debiased CKA). Bands: 95% intervals over the inputs. "
    "Grey: the other model after a random move of its weights, as long as that of training in each tensor, and with "
    "batch-norm statistics of the target task (what these alone do is in the table, as `statistics`). The matrix "
    "compares all layers of the last epoch with all layers of the other model."
)


def samples(study: Study) -> Measured:
    """Returns for each estimate and pair of models, such as "debiased/finetune/initial", what each input adds to the
    HSIC of both models, of one and of the other: [inputs, epochs, layers, 3]."""
    observed, moved, about = {}, {}, {}
    for role, kept in study.similarity.items():
        found = [kept.arrays(epoch) for epoch in kept.epochs]
        about |= {"layers": np.array(kept.layers), f"epochs/{role}": np.array(kept.epochs)}
        about["index"], last = found[-1]["index"], found[-1]
        for other in _others(last):
            for estimate in ESTIMATES.values():
                name = f"{estimate}/{role}/{other}"
                observed[name] = np.stack([of[f"{other}/{estimate}"] for of in found], axis=1)
                moved[name] = np.stack([of[f"random/{other}/{estimate}"] for of in found], axis=1)
            observed[f"neighbours/{role}/{other}"] = last[f"{other}/neighbours"]
            observed[f"statistics/{role}/{other}"] = last[f"{other}/statistics"]
            about |= {f"{name}/{role}/{other}": last[f"{other}/{name}"] for name in (*NUMBERS, "matrix")}
    return Measured(observed, {"random": moved}, about=about)


def _others(arrays: dict[str, np.ndarray]) -> list[str]:
    """Returns the models that a role is compared with."""
    return [name.removesuffix("/matrix") for name in arrays if name.endswith("/matrix")]


def ratio(mean: np.ndarray) -> np.ndarray:
    """Returns CKA [...] of means over inputs [..., 3]: HSIC of both, of one and of the other."""
    both, one, other = np.moveaxis(mean, -1, 0)
    with np.errstate(invalid="ignore"):
        return both / np.sqrt(one * other)


def table(measured: Measured) -> pd.DataFrame:
    """Columns: quantity, model, against, layer, epoch, estimate. The biased and the minibatch estimate, and what is
    calibrated by permutations, are of the last epoch alone, as is `statistics`: the other model with itself, once its
    batch-norm has the statistics of the target task."""
    found = pd.DataFrame(_rows(measured), columns=[*KEYS, "estimate"])
    found.attrs["layers"] = measured.about["layers"].tolist()
    matrices = {name: value for name, value in measured.about.items() if name.startswith("matrix/")}
    found.attrs["matrix"] = {name.removeprefix("matrix/"): value for name, value in matrices.items()}
    return found


def _rows(measured: Measured) -> Iterator[tuple]:
    about, layers = measured.about, measured.about["layers"].tolist()
    for name in [name for name in about if name.startswith("matrix/")]:
        _, role, other = name.split("/")
        epochs = about[f"epochs/{role}"].tolist()
        for quantity, estimate in ESTIMATES.items():
            every = _estimated(measured, f"{estimate}/{role}/{other}")
            for at, epoch in enumerate(epochs):
                if quantity == "cka" or epoch == epochs[-1]:
                    for layer, of_layer in zip(layers, every[at], strict=True):
                        yield quantity, role, other, layer, epoch, of_layer
        shared = measured.estimate(f"neighbours/{role}/{other}", alone=True).rows()
        for layer, of_layer in zip(layers, shared, strict=True):
            yield "neighbours", role, other, layer, epochs[-1], of_layer
        alone = measured.estimate(f"statistics/{role}/{other}", ratio, alone=True).rows()
        for layer, of_layer in zip(layers, alone, strict=True):
            yield "statistics", role, other, layer, epochs[-1], of_layer
        for quantity in NUMBERS:
            for layer, value in zip(layers, about[f"{quantity}/{role}/{other}"].tolist(), strict=True):
                yield quantity, role, other, layer, epochs[-1], exact(value, measured.samples)


def _estimated(measured: Measured, name: str) -> list[list[Estimate]]:
    """Returns the CKA of each epoch and layer."""
    epochs, layers = measured.observed[name].shape[1:3]
    every = list(measured.estimate(name, lambda mean: ratio(mean).reshape(len(mean), epochs * layers)).rows())
    return [every[at * layers : (at + 1) * layers] for at in range(epochs)]


def figure(table: pd.DataFrame) -> Figure:
    """Draws a line for each layer over the epochs, and all pairs of layers."""
    return drawn.figure(table)
