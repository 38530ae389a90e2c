"""Do two models give credit to the same variables? Credit is one number for each variable, such as its Shapley value.

Each way to compare them makes scores of the credit that do not depend on its scale, so that the agreement of two models
with scores x and y is sum_i x_i y_i, from -1 to 1:

    cosine   credit, of length 1: 1 if all of it is in proportion
    rank     places in the order of credit, centred, of length 1: Spearman's correlation
    top      1 for the variable with the most credit, 0 for the others: 1 if it is the same one (equals share it)

They are three of the ways of "The Disagreement Problem in Explainable Machine Learning" (arXiv 2202.01602), with signed
credit: the most is what speaks most for the true class. For example credit (3, 1, 2) and (2, 1, 0): the cosine is
7 / sqrt(14 * 5) = .84, the rank correlation .5, the top variable is the same.

A model that gives all its variables the same says nothing of which matter: it has no agreement with any other (NaN).
"""

from math import factorial

import numpy as np
from scipy.stats import rankdata

WAYS = ("cosine", "rank", "top")


def telling(credit: np.ndarray, noise: float = 0.0) -> np.ndarray:
    """Returns the credit, NaN where the n variables differ by no more than the noise: [..., n] twice, in one unit."""
    return np.where(np.ptp(credit, axis=-1, keepdims=True) > noise, credit, np.nan)


def scores(credit: np.ndarray, way: str) -> np.ndarray:
    """Returns the scores of `telling` credit in one of WAYS, NaN where it is: [..., n] twice."""
    if way != "cosine":
        credit = rankdata(credit, axis=-1) - (credit.shape[-1] + 1) / 2
    if way == "top":
        credit = np.where(np.isnan(credit), np.nan, credit == credit.max(-1, keepdims=True))
        return credit / credit.sum(-1, keepdims=True)
    return credit / np.linalg.norm(credit, axis=-1, keepdims=True)


def agreement(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Returns sum_i x_i y_i of two models' scores: [..., n] twice -> [...]."""
    return np.vecdot(first, second)


def by_placement(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Returns the mean agreement over all other ways to give the second model's scores to the variables: [..., n] twice
    -> [...].

    Of all n! ways it is sum_i x_i sum_j y_j / n, since each score is at each place equally often; one of them, the
    model's own, is taken out. A single variable has no other way: NaN.
    """
    n = first.shape[-1]
    ways, every = factorial(n), first.sum(-1) * second.sum(-1) / n
    with np.errstate(invalid="ignore"):  # 0 / 0
        return (ways * every - agreement(first, second)) / (ways - 1)
