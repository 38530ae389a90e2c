"""The H-score: how much of the features' variance, direction by direction, lies between the classes?

Of the covariance S of all samples and B of their classes' means it is tr(S^-1 B), the sum of squared canonical
correlations of features and labels (Pillai's trace): C - 1 if features tell C classes apart perfectly, and 0 if classes
have equal means (Bao et al., ICIP 2019). With fewer samples than features it is always C - 1. So S is estimated as
Ledoit and Wolf do, shrunk towards a multiple of the identity (Ibrahim et al., 2021, arXiv 2110.06893):

    H = (1 - a) tr( [(1 - a) S + a tr(S) / D]^-1 B ),  a from the data

B lies within the span of the centred features, so all is known from its singular values s and vectors V: S has the
eigenvalues s^2 / n. Covariances are divided by n, not n - 1.
"""

import numpy as np

from analysis.formulas.spectrum import decomposed


def h_score(features: np.ndarray, labels: np.ndarray, shrinkage: float | None = None) -> float:
    """Returns the score of features [N, D] and labels [N]; 0 if the features are constant. shrinkage: a, in place of
    Ledoit's and Wolf's; with 0 it is the plain H-score. ValueError: a feature is no number."""
    features = np.asarray(features, np.float64)
    spectrum, n = decomposed(features, centred=True), len(labels)
    variances = np.square(spectrum.values) / n
    if not len(variances):
        return 0.0
    centred = features - spectrum.mean
    if shrinkage is None:
        shrinkage = ledoit_wolf(variances, centred)
    is_class = (np.asarray(labels) == np.unique(labels)[:, None]).astype(np.float64)
    sums = is_class @ centred @ spectrum.vectors  # [C, r]; a class counts as often as it has samples
    between = (np.square(sums) / is_class.sum(1, keepdims=True)).sum(0) / n
    target = variances.sum() / features.shape[1]
    return float((1 - shrinkage) * (between / ((1 - shrinkage) * variances + shrinkage * target)).sum())


def ledoit_wolf(variances: np.ndarray, centred: np.ndarray) -> float:
    """Returns the shrinkage, 0 to 1, that is best for the covariance of the centred features [N, D] (Ledoit and Wolf,
    2004). variances: the eigenvalues of their covariance that are not 0."""
    n, width = centred.shape
    squares = np.square(variances).sum()
    apart = squares - variances.sum() ** 2 / width  # of S from the multiple of the identity
    error = (np.square(np.square(centred).sum(1)).mean() - squares) / n  # of S as an estimate
    return float(min(error / apart, 1)) if apart > 0 else 0.0
