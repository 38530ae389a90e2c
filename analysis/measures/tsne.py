"""A picture of the features of the test set in a plane, before and after fine-tuning (t-SNE, Fig. 3 of arXiv
2203.04668), and three numbers that say how far the picture can be believed."""

from typing import Annotated

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from sklearn.manifold import TSNE, trustworthiness
from sklearn.neighbors import NearestNeighbors

from analysis.drawing.planes import planes
from analysis.measure import Needs, Sizes
from analysis.measured import Measured
from analysis.statistics.estimate import exact
from analysis.study import Study
from conf.allowed import Number, Text
from conf.errors import BadInput
from conf.nested import Epochs
from stages.progress import Bar
from stages.span import Span

NEEDS = Needs("representations")
ARXIV = "2203.04668"
QUESTION = "How do the features of the classes lie?"
TITLE = "t-SNE of the features: share of points whose nearest neighbour is of their class, and trustworthiness"
LABELS = {
    "pretrain": "before fine-tuning",
    "finetune": "after fine-tuning",
    "neighbours_plane": "nearest neighbour of the same class, in the plane",
    "neighbours_features": "nearest neighbour of the same class, in the features",
    "trustworthiness": "trustworthiness",
    "chance": "a random point of the same class",
}
CAPTION = (
    "Each point is a test sample, coloured by its class: its features in the plane of t-SNE, which keeps neighbours "
    "together and nothing else: distances between groups, and their sizes, mean nothing. Another seed or perplexity "
    "gives another picture; those of this one stand above it. The table says how often the nearest neighbour is of the "
    "same class, in the plane and in the features themselves, and how far the plane keeps to neighbours of the "
    "features (trustworthiness, 1 is exact)."
)
MODELS = ("pretrain", "finetune")
CLOSE = 5  # neighbours, of trustworthiness
FEWEST = 12  # points
POINT = Span(0.001, 0.01)  # seconds of each: 1,000 points took 4 s
PIXELS = 8 * 60  # bytes of a point and neighbour, in the trees and in the gradient


def samples(
    study: Study,
    perplexity: Annotated[float, Number(1, 1000)] = 30,
    points: Annotated[int, Number(12, 100_000, whole=True)] = 1000,
    layer: Annotated[str, Text("a layer of representations.layers")] = "penultimate",
    epochs: Annotated[list | None, Epochs(null=True)] = None,
) -> Measured:
    """Returns each drawn point in the plane, "plane/pretrain" [points, 2], and whether its nearest neighbour is of its
    class, "neighbours_plane/pretrain" and "neighbours_features/pretrain" [points].

    perplexity: about the number of neighbours that a point has, at most a third of the points; points: drawn of the
    test samples at most; epochs: of pre-training, only runs that start from one of them are drawn.
    """
    index = _index(study, points)
    labels, observed, perplexity = study.labels[index], {}, min(perplexity, (len(index) - 1) / 3)
    about = {"index": index, "labels": labels, "classes": np.array(study.class_names),
             "perplexity": np.array(perplexity), "seed_drawn": np.array(study.options.seed)}  # fmt: skip
    for model in Bar(_drawable(study, points, layer), desc="t-SNE", leave=False):
        features = study.representations[model].features("test", layer)[index].astype(float)
        init = "pca" if features.shape[1] > 1 else "random"  # which needs two dimensions
        tsne = TSNE(perplexity=perplexity, init=init, random_state=study.options.seed % 2**32, n_jobs=1)
        plane = tsne.fit_transform(features).astype(float)
        observed[f"plane/{model}"] = plane
        observed[f"neighbours_plane/{model}"] = _neighbours(plane, labels)
        observed[f"neighbours_features/{model}"] = _neighbours(features, labels)
        about[f"trustworthiness/{model}"] = np.array(trustworthiness(features, plane, n_neighbors=CLOSE))
    return Measured(observed, about=about)


def _neighbours(places: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Returns 1 where the nearest other point is of the same class: [points, D], [points] -> [points]."""
    nearest = NearestNeighbors(n_neighbors=1).fit(places).kneighbors(return_distance=False)[:, 0]
    return (labels[nearest] == labels).astype(float)


def _index(study: Study, points: int) -> np.ndarray:
    """Draws test samples."""
    draw = np.random.default_rng([study.options.seed, 7])
    return np.sort(draw.permutation(len(study.labels))[:points])


def _drawable(study: Study, points: int, layer: str) -> list[str]:
    """Returns the models whose features differ between samples: of others t-SNE can make nothing."""
    index = _index(study, points)
    return [
        model for model, kept in study.representations.items() if np.ptp(kept.features("test", layer)[index], 0).any()
    ]


def lacks(study: Study, epochs: list | None = None, points: int = 1000, layer: str = "penultimate", **_: object) -> str:
    """Says why nothing is drawn: the run starts from an epoch that was not asked for, or all features are equal."""
    if epochs is not None and study.source.epoch not in epochs:
        return f"no picture of epoch {study.source.epoch} asked for (analysis.options.tsne.epochs)"
    return "" if _drawable(study, points, layer) else "no model whose features differ between samples"


def memory(sizes: Sizes, perplexity: float = 30, points: int = 1000, layer: str = "penultimate", **_: object) -> int:
    """Returns bytes: three neighbours for each unit of perplexity, and distances of all pairs of points for
    trustworthiness. Raises BadInput if there are too few points."""
    if sizes.test < FEWEST:
        raise BadInput(f"analysis.measures: tsne needs {FEWEST} test samples, and there are {sizes.test}: leave it out")
    count = min(points, sizes.test)
    return int(3 * perplexity) * PIXELS * count + 3 * 8 * count**2 + 8 * sizes.test * sizes.widths[layer]


def seconds(sizes: Sizes, points: int, **_: object) -> Span:
    """Of two models."""
    return POINT * (2 * min(points, sizes.test))


def table(measured: Measured) -> pd.DataFrame:
    """Columns: model, quantity (neighbours_plane, neighbours_features, trustworthiness), estimate, chance.
    Trustworthiness is one number of all points: it has no interval here; 0.5 or so is that of points at random."""
    labels, rows = measured.about["labels"], []
    level = float(np.square(np.bincount(labels) / len(labels)).sum())
    models = [model for model in MODELS if f"plane/{model}" in measured.observed]
    for model in models:
        for name in ("neighbours_plane", "neighbours_features"):
            rows.append((model, name, measured.estimate(f"{name}/{model}"), level))
        trusted = exact(float(measured.about[f"trustworthiness/{model}"]), measured.samples)
        rows.append((model, "trustworthiness", trusted, np.nan))
    found = pd.DataFrame(rows, columns=["model", "quantity", "estimate", "chance"])
    drawn = {model: measured.observed[f"plane/{model}"] for model in models}
    found.attrs |= {name: measured.about[name] for name in ("labels", "classes", "perplexity", "seed_drawn")}
    found.attrs["planes"] = drawn
    return found


def figure(table: pd.DataFrame) -> Figure | None:
    """Draws the points of each model."""
    about = table.attrs
    row = [(LABELS[model], points, about["labels"]) for model, points in about["planes"].items()]
    title = (
        f"t-SNE of the test set's features (perplexity {float(about['perplexity']):g}, seed {int(about['seed_drawn'])})"
    )
    return planes([row], [str(name) for name in about["classes"]], title)
