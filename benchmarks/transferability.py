"""Compares LogME with the public algorithm (You et al., JMLR 2022): class by class, an iteration to a fixed point.

For each class, from t = alpha / beta = 1 until t changes by less than 1e-3, or at most 11 times:

    gamma = sum g / (g + t)      m2 = sum g z^2 / (g + t)^2      rest = r0 + sum z^2 t^2 / (g + t)^2
    alpha = gamma / (m2 + 1e-5)      beta = (n - gamma) / (rest + 1e-5)

It is written here as published, with sums over the singular values of F (n x D), but D / 2 log alpha in the evidence,
which is right where n >= D and wrong where n < D. F is decomposed as published, or F'F as in public code, which is
quicker. Sizes are those of the birds (CUB-200) and the radiographs (Shenzhen), with as many features as ResNet-50 has.
python -m benchmarks.transferability writes benchmarks/transferability.csv.
"""

from functools import partial

import numpy as np
import pandas as pd

from analysis.formulas.logme import logme
from benchmarks.timing import alternate, record

SIZES = {"birds": (5994, 2048, 200), "radiographs": (199, 2048, 2)}  # samples, features, classes
REPEATS = 5


def main() -> None:
    record(pd.DataFrame([row for name in SIZES for row in measure(name)]), __file__)


def measure(name: str) -> list[dict[str, object]]:
    """Returns a row for each way to decompose F."""
    features, labels = drawn(*SIZES[name])
    sides, scores = {"ours": logme, "F": partial(fixed_point, squared=False)}, {}
    if features.shape[0] > features.shape[1]:
        sides["F'F"] = partial(fixed_point, squared=True)

    def score(side: str) -> None:
        scores[side] = round(sides[side](features, labels), 5)

    ours, *theirs = alternate([partial(score, side) for side in sides], REPEATS)
    about = {"LogME of": name, **dict(zip(("n", "D", "classes"), SIZES[name], strict=True))}
    return [
        about
        | {"decomposed": side, "fixed point, s": round(seconds, 2), "ours, s": round(ours, 2)}
        | {"times faster": round(seconds / ours, 1), "fixed point, LogME": scores[side], "ours, LogME": scores["ours"]}
        for side, seconds in zip(list(sides)[1:], theirs, strict=True)
    ]


def drawn(samples: int, width: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns features such as a network's, which are not negative, correlate, and are told apart in part."""
    draw, labels = np.random.default_rng(0), np.arange(samples) % classes
    mixing = draw.normal(size=(width, width)) / np.arange(1, width + 1)[:, None] ** 0.5
    of_class = draw.normal(size=(classes, width))[labels]
    return np.maximum((of_class + 2 * draw.normal(size=(samples, width))) @ mixing, 0), labels


def fixed_point(features: np.ndarray, labels: np.ndarray, squared: bool) -> float:
    """Returns the score of the public algorithm, from F or from F'F."""
    n, width = features.shape
    if squared:
        right, squares, _ = np.linalg.svd(features.T @ features)
        values = np.sqrt(squares)
        left = features @ right / values
    else:
        left, values, _ = np.linalg.svd(features, full_matrices=False)
    found = [_evidence(left, values**2, (labels == each).astype(float), width) for each in np.unique(labels)]
    return float(np.mean(found)) / n


def _evidence(left: np.ndarray, g: np.ndarray, y: np.ndarray, width: int) -> float:
    n, t, z2 = len(y), 1.0, np.square(left.T @ y)
    outside = (y**2).sum() - z2.sum()
    for _ in range(11):
        gamma, m2 = (g / (g + t)).sum(), (g * z2 / (g + t) ** 2).sum()
        rest = outside + (z2 * t**2 / (g + t) ** 2).sum()
        alpha, beta = gamma / (m2 + 1e-5), (n - gamma) / (rest + 1e-5)
        before, t = t, alpha / beta
        if abs(t - before) / before <= 1e-3:
            break
    determinant = width * np.log(alpha) + n * np.log(beta) - np.log(alpha + beta * g).sum()
    return 0.5 * (determinant - beta * rest - alpha * m2 - n * np.log(2 * np.pi))


if __name__ == "__main__":
    main()
