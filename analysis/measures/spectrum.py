"""What the main and the residual spectral components of the features know of the target task (Table 1 and Fig. 4 of
arXiv 2203.04668), before and after fine-tuning.

Features F = U S V^T are split into F_m, the first k singular directions, and F_r, the others; k is the least with which
the singular values (not their squares) add up to 80 % of their sum. A new softmax layer is trained on each. Beside them
stand random subspaces of the same dimensions: what F_m knows beyond them is owed to its being the main part, and not to
the number of its dimensions.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.figure import Figure

from analysis.cost import of_heads, of_products
from analysis.drawing.components import before_and_after
from analysis.drawing.style import STYLE
from analysis.formulas.accuracy import chance
from analysis.formulas.softmax import Recipe, predicted, trained
from analysis.formulas.spectrum import (
    COMPONENTS,
    Spectrum,
    bases,
    by_batch,
    count_of,
    decomposed,
    effective_rank,
    projected,
)
from analysis.measure import Needs, Sizes
from analysis.measured import Measured
from analysis.statistics.estimate import exact
from analysis.study import Study
from conf.allowed import Choice, Flag, Kind, Number, Text
from conf.errors import BadInput
from stages.progress import Bar
from stages.span import Span

NEEDS = Needs("representations")
SPLITS = ("train", "test")
ARXIV = "2203.04668"
QUESTION = "Which spectral components of the features know the target task?"
TITLE = "Accuracy of a softmax layer on spectral components of the features"
ALL = ("all", *COMPONENTS)
LABELS = {
    "pretrain": "before fine-tuning",
    "finetune": "after fine-tuning",
    "all": "all components",
    "main": "main components F_m",
    "residual": "residual F_r",
    "random_main": "a random subspace as large as F_m",
    "random_residual": "a random subspace as large as F_r",
    "chance": "by class frequencies alone",
    "paper": "in the paper",
    "effective_rank": "effective rank",
}
CAPTION = (
    "Left: how much of the sum of all singular values the first ones make up, before and after fine-tuning; the line "
    "ends with the features' rank, and a mark shows k, where the main components end, unless each batch has its own "
    "(scope=batch). Right: test accuracy of a new "
    "softmax layer on all components, on the main ones F_m, on the residual F_r, and on random subspaces as large as "
    "these, with 95% intervals. Grey: the most frequent class."
)
MODELS, GIVEN = ("pretrain", "finetune"), ("all", "main", "residual")
COUNT, RATE = Number(1, 10_000_000, whole=True), Number(0, without=(0,))


@dataclass(frozen=True)
class Published(Kind):
    """Accuracies of a paper, in percent."""

    described = (
        "a paper's accuracies in percent, such as {5: {pretrain: [96.5, 88.2, 55.5]}}: of an epoch and of pretrain or "
        "finetune, with all, main and residual components,"
    )

    def allows(self, value: object) -> bool:
        if not isinstance(value, Mapping) or not all(str(epoch).isdecimal() for epoch in value):
            return False
        each = list(value.values())
        known = all(isinstance(of, Mapping) and set(of) <= set(MODELS) for of in each)
        return known and all(self._is_row(row) for of in each for row in of.values())

    def _is_row(self, row: object) -> bool:
        percent = Number(0, 100)
        return isinstance(row, list) and len(row) == len(GIVEN) and all(map(percent.allows, row))


def samples(
    study: Study,
    share: Annotated[float, Number(0, 1, without=(0, 1))] = 0.8,
    of: Annotated[str, Choice(("values", "squares"))] = "values",
    scope: Annotated[str, Choice(("train", "batch"))] = "train",
    centred: Annotated[bool, Flag()] = False,
    layer: Annotated[str, Text("a layer of representations.layers")] = "penultimate",
    epochs: Annotated[int, COUNT] = 50,
    batch_size: Annotated[int, COUNT] = 128,
    lr: Annotated[float, RATE] = 0.01,
    paper: Annotated[Mapping | None, Published(null=True)] = None,
) -> Measured:
    """Returns for each test sample whether the layer on each component is right, "pretrain/main" [test samples].

    share, of: of the sum of singular values, or of their squares, that the main components have; scope: train (one
    decomposition, of all training features, for training and test features) | batch (as in the paper: each batch of
    either set has its own, so that the components of an image depend on its batch mates); centred: whether the mean
    feature is taken away first; paper: {epoch: {model: [all, main, residual]}}, in percent, to stand beside ours.
    """
    squares, seed = of == "squares", study.options.seed
    about = {"chance": np.array(chance(study.labels)["accuracy"]), "scope": np.array(scope)}
    observed: dict[str, np.ndarray] = {}
    recipe = Recipe("adam", lr, epochs, None, batch_size, "constant")
    for model, kept in study.representations.items():
        train, test = (kept.features(split, layer) for split in SPLITS)
        spectrum = decomposed(train, centred)
        if scope == "train":
            k = count_of(spectrum.values, share, squares)
            sizes, parts = (k, len(spectrum.values) - k), _of_all(spectrum, k, (train, test), seed)
        else:
            both = [by_batch(each, batch_size, share, squares, centred, seed) for each in (train, test)]
            sizes, parts = both[0][1].mean(0), [_with_all(found) for found, _ in both]
        right = _right(study, *parts, recipe, model)
        observed |= {f"{model}/{name}": each for name, each in zip(ALL, right, strict=True)}
        about |= {f"values/{model}": spectrum.values, f"sizes/{model}": np.array(sizes, dtype=float)}
        for name, percent in zip(GIVEN, _published(paper, study.source.epoch, model), strict=False):
            about[f"paper/{model}/{name}"] = np.array(percent / 100)
    return Measured(observed, about=about)


def _of_all(spectrum: Spectrum, k: int, several: Sequence[np.ndarray], seed: int) -> list[np.ndarray]:
    """Returns the components of several sets of features [N, D] in the same directions: [5, N, D] each."""
    every, found = bases(spectrum, k, np.random.default_rng([seed, 5])), []
    for features in several:
        whole = features - spectrum.mean.astype(features.dtype)
        found.append(np.stack([whole, *(projected(features, every[name], spectrum.mean) for name in COMPONENTS)]))
    return found


def _with_all(parts: Mapping[str, np.ndarray]) -> np.ndarray:
    return np.stack([parts["main"] + parts["residual"], *(parts[name] for name in COMPONENTS)])


def _right(study: Study, train: np.ndarray, test: np.ndarray, recipe: Recipe, model: str) -> np.ndarray:
    """Trains a softmax layer on each component and returns whether it is right: [5, test samples]."""
    try:
        with Bar(total=recipe.steps(train.shape[1]), desc=f"softmax layers, {LABELS[model]}", leave=False) as bar:
            heads = trained(train, study.train_labels, study.classes, recipe, study.options.seed, bar.update)
    except ValueError as error:
        raise BadInput(f"spectrum: {error}: lower analysis.options.spectrum.lr") from None
    return (predicted(heads, test) == study.labels).astype(float)


def _published(paper: Mapping | None, epoch: int | None, model: str) -> Sequence[float]:
    """Returns the paper's numbers for all, main and residual components, if it has any for this epoch."""
    each = (paper or {}).get(epoch, (paper or {}).get(str(epoch), {}))
    return each.get(model, ())


def memory(sizes: Sizes, layer: str = "penultimate", **_: object) -> int:
    """Returns bytes: five components of all features, and the features in float64."""
    return (4 * 6 + 8) * (sizes.train + sizes.test) * sizes.widths[layer]


def seconds(sizes: Sizes, epochs: int, batch_size: int, lr: float, layer: str, **_: object) -> Span:
    """Of two models: a decomposition and four products, and five heads."""
    width, recipe = sizes.widths[layer], Recipe("adam", lr, epochs, None, batch_size, "constant")
    products = of_products(10 * (sizes.train + sizes.test) * width * min(width, sizes.train))
    return (products + of_heads(recipe, 5, sizes.train, width, sizes.classes)) * 2


def table(measured: Measured) -> pd.DataFrame:
    """Columns: model, quantity (accuracy, dimension, effective_rank), component, estimate, chance, and paper, if
    numbers of a paper are given. Dimensions (with scope=batch the mean over training batches) and effective rank (of
    all training features) have no interval, and no level that they would have anyway."""
    rows, about = [], measured.about
    for model in [name.removeprefix("sizes/") for name in about if name.startswith("sizes/")]:
        (main, residual), values = about[f"sizes/{model}"].tolist(), about[f"values/{model}"]
        for name in ALL:
            published = float(about.get(f"paper/{model}/{name}", np.nan))
            rows.append(
                (model, "accuracy", name, measured.estimate(f"{model}/{name}"), float(about["chance"]), published)
            )
        for quantity, name, value in (("dimension", "main", main), ("dimension", "residual", residual),
                                      ("effective_rank", "all", effective_rank(values))):  # fmt: skip
            rows.append((model, quantity, name, exact(value, measured.samples), np.nan, np.nan))
    found = pd.DataFrame(rows, columns=["model", "quantity", "component", "estimate", "chance", "paper"])
    found = found if found["paper"].notna().any() else found.drop(columns="paper")
    found.attrs["scope"] = str(about["scope"])
    found.attrs["values"] = {name.removeprefix("values/"): about[name] for name in about if name.startswith("values/")}
    return found


@rc_context(STYLE)
def figure(table: pd.DataFrame) -> Figure:
    """Draws the spectrum, and the accuracy on each component."""
    return before_and_after(table, LABELS)
