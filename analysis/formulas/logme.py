"""LogME: how likely are the labels if they are linear in the features? (You et al., ICML 2021, arXiv 2102.11005)

For each class, y is 1 for its samples and 0 for all others, and y = F w + noise, w ~ N(0, 1 / alpha), noise ~
N(0, 1 / beta). The score is the mean over classes of the greatest log p(y | F, alpha, beta) / n, over alpha and beta.

With t = alpha / beta, y has the covariance (F F' / t + 1) / beta. Let g be the eigenvalues of F F' that are not 0, z_i
the parts of y along their eigenvectors, and r0 = |y|^2 - sum z_i^2 what lies outside. Then

    E(t) = r0 + sum z_i^2 t / (t + g_i)
    log p = 1/2 [ n log beta - n log 2 pi + sum log(t / (t + g_i)) - beta E(t) ]

is greatest at beta = n / E(t). So each class is a maximum over t alone, of

    L(t) = 1/2 [ sum log(t / (t + g_i)) + n log(n / E(t)) - n - n log 2 pi ] / n

The usual fixed-point iteration finds a maximum slowly, and its public form is wrong where there are fewer samples than
features. Here L is computed on a grid of log t, for all classes in one matrix product, and refined between the
neighbours of its best point: the maximum is global. Where it is not reached (t to 0: the model has no noise; to
infinity: the features say nothing), the ends of the grid are the limits, to the last digit.

It does not depend on the features' scale or rotation, but on their mean: there is no bias, and F is not centred.
"""

import numpy as np
from scipy.sparse import csr_array

from analysis.formulas.spectrum import Spectrum, decomposed

EXACT, LITTLE = 1e-12, 0.1  # parts of |y|^2 outside the features: so little is rounding; has lost a digit
BEYOND, STEP = 46.0, 0.25  # of log t: what is so far outside the eigenvalues is the limit; peaks are wider than 1
GOLDEN, SECTIONS = (np.sqrt(5) - 1) / 2, 22  # the last section is 1e-5 wide, where L differs by 1e-10


def logme(features: np.ndarray, labels: np.ndarray) -> float:
    """Returns the score of features [N, D] and labels [N], in nats per sample; classes that do not occur do not count.

    It is inf if the features fit a class exactly and fewer than N of them are independent: then nothing limits the
    evidence. ValueError: a feature is no number.
    """
    features, n = np.asarray(features, np.float64), len(labels)
    spectrum = decomposed(features)
    targets = (np.asarray(labels)[:, None] == np.unique(labels)).astype(np.float64)
    sums = spectrum.vectors.T @ (csr_array(targets.T) @ features).T  # sums of each class: most of targets is 0
    z2, g = np.square(sums.T / spectrum.values), np.square(spectrum.values)
    outside = _outside(features, spectrum, targets, z2)
    if len(g) < n and not outside.all():
        return float("inf")
    if not len(g):
        g, z2 = np.ones(1), np.zeros((len(outside), 1))  # all features are 0: as good as any that say nothing
    return float(greatest_evidence(g, z2, outside, n).mean())


def _outside(features: np.ndarray, spectrum: Spectrum, targets: np.ndarray, z2: np.ndarray) -> np.ndarray:
    """Returns r0 of each class [C], of targets [N, C] and z2 [C, k].

    Where little of y is left, the difference of |y|^2 and sum z^2 has lost digits. There y itself is projected, twice:
    what is left after one time may be rounding, if eigenvalues differ by many orders.
    """
    whole = targets.sum(0)
    if len(spectrum.values) == len(targets):
        return np.zeros_like(whole)
    found = whole - z2.sum(1)
    little = found < LITTLE * whole
    left, inverse = targets[:, little], 1 / np.square(spectrum.values)[:, None]
    for _ in range(2):
        left = left - features @ (spectrum.vectors @ (inverse * (spectrum.vectors.T @ (features.T @ left))))
    found[little] = np.square(left).sum(0)
    return np.where(found > EXACT * whole, found, 0.0)


def greatest_evidence(g: np.ndarray, z2: np.ndarray, outside: np.ndarray, n: int) -> np.ndarray:
    """Returns the greatest L of each class [C] over all t > 0. g: [k]; z2: z^2 [C, k]; outside: r0 [C]."""

    def evidence(log_determinant: np.ndarray, error: np.ndarray) -> np.ndarray:
        return 0.5 * (log_determinant / n + np.log(n / error) - 1 - np.log(2 * np.pi))

    def at(log_t: np.ndarray) -> np.ndarray:  # [C], a t for each class
        ratio = g / np.exp(log_t)[:, None]
        return evidence(-np.log1p(ratio).sum(1), outside + np.vecdot(z2, 1 / (1 + ratio)))

    grid = np.arange(np.log(g.min()) - BEYOND, np.log(g.max()) + BEYOND, STEP)
    ratio = g[:, None] / np.exp(grid)
    found = evidence(-np.log1p(ratio).sum(0), outside[:, None] + z2 @ (1 / (1 + ratio)))
    best = grid[found.argmax(1)]
    low, high = best - STEP, best + STEP
    for _ in range(SECTIONS):
        left, right = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
        rising = at(left) < at(right)
        low, high = np.where(rising, left, low), np.where(rising, high, right)
    return np.maximum(found.max(1), at((low + high) / 2))
