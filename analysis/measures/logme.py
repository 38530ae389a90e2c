"""Scores that are to tell, without any training, how well a pre-trained model transfers (Fig. 5 of arXiv 2203.04668).

All are computed from the training set of the target task alone, from the features of the frozen pre-trained model
(LogME, the regularised H-score, nearest neighbours), or from what it says of the inputs on its source task (LEEP, NCE),
if it has a head for that. A score is of use if it ranks models as their accuracy does, and better than trivial rankers
do: runs that start from other epochs of the same pre-training show that (docs/measures.md).
"""

from typing import Annotated

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.figure import Figure
from scipy.special import softmax

from analysis.cost import of_products
from analysis.drawing.references import reference_marks
from analysis.drawing.style import STYLE, panels, with_legend
from analysis.formulas.h_score import h_score
from analysis.formulas.leep import leep, nce
from analysis.formulas.logme import logme
from analysis.formulas.neighbours import left_out
from analysis.measure import Needs, Sizes
from analysis.measured import Measured
from analysis.statistics.estimate import exact
from analysis.study import Study
from conf.allowed import Number, Text
from stages.span import Span

NEEDS = Needs("representations", each=("pretrain",), split="train")
ARXIV = "2203.04668"
QUESTION = "What do transferability scores say of this epoch?"
TITLE = "Transferability scores of the pre-trained model on the training set"
NAMES = {
    "logme": "LogME",
    "h_score": "H-score\n(regularised)",
    "leep": "LEEP",
    "nce": "NCE",
    "knn": "accuracy of\nnearest neighbours",
}
LABELS = NAMES | {"shuffled": "labels shuffled"}
CAPTION = (
    "Scores of the pre-trained model's features for the target task, from the training set alone; higher is said to "
    "transfer better. Grey: the same after the labels were shuffled. LogME: log evidence of a linear model, per sample "
    "and class. H-score: how far class means lie apart. LEEP and NCE: how well the answer on the source task tells the "
    "class. Nearest neighbours: share of samples whose neighbours are mostly of their class."
)
COUNT = Number(1, 1000, whole=True)


def samples(
    study: Study,
    layer: Annotated[str, Text("a layer of representations.layers")] = "penultimate",
    neighbours: Annotated[int, COUNT] = 5,
) -> Measured:
    """Returns the terms of `leep`, `nce` and `knn` for each training sample [training samples]; `logme` and `h_score`
    are numbers of the whole set. Under `shuffled`, all with shuffled labels."""
    kept, labels = study.representations["pretrain"], study.train_labels
    features, logits = kept.features("train", layer), kept.logits("train")
    shuffled = np.random.default_rng([study.options.seed, 6]).permutation(labels)
    (terms, scores), (under, levels) = (_scores(features, logits, each, neighbours) for each in (labels, shuffled))
    about = scores | {f"shuffled/{name}": level for name, level in levels.items()}
    return Measured(terms, {"shuffled": under}, about=about)


def _scores(
    features: np.ndarray, logits: np.ndarray | None, labels: np.ndarray, neighbours: int
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    terms = {"knn": left_out(features, labels, min(neighbours, len(labels) - 1)).astype(float)}
    if logits is not None:
        terms |= {"leep": leep(softmax(logits.astype(float), axis=1), labels), "nce": nce(logits.argmax(1), labels)}
    return terms, {"logme": np.array(logme(features, labels)), "h_score": np.array(h_score(features, labels))}


def memory(sizes: Sizes, layer: str = "penultimate", **_: object) -> int:
    """Returns bytes: the features in float32 and float64, and the smaller of both Gram matrices, three times."""
    count, width = sizes.train, sizes.widths[layer]
    return 3 * 8 * count * width + 3 * 8 * min(count, width) ** 2


def seconds(sizes: Sizes, layer: str, **_: object) -> Span:
    """Twice, with shuffled labels as well: all pairs of samples for neighbours, and two decompositions."""
    width = sizes.widths[layer]
    return of_products(2 * sizes.train * width * (sizes.train + 10 * min(sizes.train, width)))


def table(measured: Measured) -> pd.DataFrame:
    """Columns: score, estimate, shuffled. LogME and H-score are no means over samples, and have no interval here."""
    rows, under = [], measured.references["shuffled"]
    for name in NAMES:
        if name in measured.observed:
            rows.append((name, measured.estimate(name, alone=True), under[name].mean()))
        elif name in measured.about:
            known = exact(float(measured.about[name]), measured.samples)
            rows.append((name, known, float(measured.about[f"shuffled/{name}"])))
    return pd.DataFrame(rows, columns=["score", "estimate", "shuffled"])


@rc_context(STYLE)
def figure(table: pd.DataFrame) -> Figure:
    """Draws each score on a scale of its own, as their units have nothing in common."""
    figure, every = panels("Scores of the pre-trained features for the target task", len(table), height=3.6)
    for axes, (_, row) in zip(every, table.iterrows(), strict=True):
        one, at = row.to_frame().T, np.zeros(1)
        axes.vlines(at, float(row["low"]), float(row["high"]), color="black", linewidth=1.4)
        axes.plot(at, float(row["mean"]), "o", color="#0072B2", label="score, with its 95% interval if it has one")
        reference_marks(axes, at, one, ["shuffled"], 0.35, LABELS)
        axes.set_title(NAMES[row["score"]], fontsize=10.5)
        axes.set(xlim=(-1, 1), xticks=[])
        axes.margins(y=0.15)
    return with_legend(figure, 2)
