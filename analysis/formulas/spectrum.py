"""The components of features: the first singular directions, which hold most of them, and all others (Sec. 5 of arXiv
2203.04668).

F = U diag(s) V' with s_1 >= s_2 >= ... > 0, and k is the least number with s_1 + ... + s_k >= share (s_1 + ... + s_r):

    F_m = F V_k V_k'      the main components
    F_r = F - F_m         the residual: all further directions

The two differ in size, too, so each has a random subspace of its own size beside it. F is not centred in the paper:
then the first direction is mostly the mean. The paper takes each batch by itself; an image's components then depend on
its batch mates. s and V come from the eigenvalues of F'F, or of F F' where there are fewer samples than features.
Squaring loses half of the digits: directions with s_i below about 1e-6 s_1, the rounding of float32 features,
count as 0.

The effective rank, exp(entropy of s / sum s), needs no share (Roy and Vetterli, EUSIPCO 2007).
"""

from typing import NamedTuple

import numpy as np
from scipy.special import entr

COMPONENTS = ("main", "residual", "random_main", "random_residual")


class Spectrum(NamedTuple):
    """values: singular values [r], descending, all > 0; vectors: their right singular vectors, orthonormal columns
    [D, r]; mean: [D], what was taken off before; 0 if nothing was. float64."""

    values: np.ndarray
    vectors: np.ndarray
    mean: np.ndarray


def decomposed(features: np.ndarray, centred: bool = False) -> Spectrum:
    """Returns the singular values of features [N, D] in float64. ValueError: a feature is no number."""
    features = np.asarray(features, np.float64)
    if not np.isfinite(features).all():
        raise ValueError("some features are infinite or no number")
    mean = features.mean(0) if centred else np.zeros(features.shape[1])
    features = features - mean if centred else features
    wide = features.shape[0] < features.shape[1]
    gram = features @ features.T if wide else features.T @ features
    squares, vectors = np.linalg.eigh(gram)
    some = np.flatnonzero(squares > squares[-1] * max(features.shape) * np.finfo(np.float64).eps)[::-1]
    squares, vectors = squares[some], vectors[:, some]
    if wide:  # F'U = V diag(s); without QR, the last columns would not be orthogonal
        vectors = np.linalg.qr(features.T @ vectors)[0]
    return Spectrum(np.sqrt(squares), vectors, mean)


def count_of(values: np.ndarray, share: float, squares: bool = False) -> int:
    """Returns the least k whose first k values [r] have this share (0 to 1) of the sum of all, or of their squares."""
    sums = np.cumsum(np.square(values) if squares else values)
    # Without a margin, 8 of 10 equal values might have less than 0.8 of the sum, by rounding.
    return int(np.searchsorted(sums, share * sums[-1] * (1 - 1e-12))) + 1 if len(sums) else 0


def effective_rank(values: np.ndarray) -> float:
    """Returns exp of the entropy of values [r] / their sum: between 1 and r; 0 if there are none."""
    return float(np.exp(entr(values / values.sum()).sum())) if len(values) else 0.0


def bases(spectrum: Spectrum, k: int, draw: np.random.Generator) -> dict[str, np.ndarray]:
    """Returns orthonormal columns [D, k] or [D, r - k] for each of COMPONENTS. The random subspaces are uniform (Haar)
    among those of the span of all `vectors`, and complements of each other, as main and residual are."""
    count = len(spectrum.values)
    turned = spectrum.vectors @ np.linalg.qr(draw.normal(size=(count, count)))[0]
    parts = [each for basis in (spectrum.vectors, turned) for each in (basis[:, :k], basis[:, k:])]
    return dict(zip(COMPONENTS, parts, strict=True))


def projected(features: np.ndarray, basis: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Returns (F - mean) B B' [N, D], of features F [N, D] and orthonormal columns B [D, k]; float32 if F is no
    float64."""
    dtype = np.result_type(features, np.float32)
    features, basis, mean = (np.asarray(each, dtype) for each in (features, basis, mean))
    return (features - mean) @ basis @ basis.T


def by_batch(
    features: np.ndarray, batch_size: int, share: float, squares: bool, centred: bool, seed: int
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Returns the COMPONENTS of features [N, D], [N, D] each, and the dimensions of main and residual in each batch
    [batches, 2]. The batches are drawn without replacement, and each has its own directions, as in the paper."""
    draw = np.random.default_rng(seed)
    order, counts = draw.permutation(len(features)), []
    dtype = np.result_type(features, np.float32)
    found = {name: np.empty(features.shape, dtype) for name in COMPONENTS}
    for batch in np.split(order, range(batch_size, len(order), batch_size)):
        spectrum = decomposed(features[batch], centred)
        k = count_of(spectrum.values, share, squares)
        counts.append((k, len(spectrum.values) - k))
        for name, basis in bases(spectrum, k, draw).items():
            found[name][batch] = projected(features[batch], basis, spectrum.mean)
    return found, np.array(counts)
