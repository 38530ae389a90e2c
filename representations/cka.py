"""How alike two layers are, up to rotation and scale: centred kernel alignment (CKA) with a linear kernel.

With features X [n, p] and Y [n, q] of the same n inputs, centred, K = XX' and L = YY' say how close any two inputs are
in each layer. HSIC is the covariance of the two, CKA its correlation: HSIC(K, L) / sqrt(HSIC(K, K) HSIC(L, L)).

    biased     HSIC = <K, L> / (n - 1)^2 (Kornblith et al. 2019). It grows with p and q: layers that share nothing, but
               are wide, come near 1.
    debiased   HSIC_1 = <K~, L~> / (n (n - 3)) (Song et al. 2012): 0 on average where nothing is shared. K~ is
               U-centred: K_ij + u_i + u_j off the diagonal, which is 0, so that rows sum to 0. As rows of K do, too,
               u_i = K_ii / (n - 2) - tr K / (2 (n - 1) (n - 2)), and <K~, L~> follows from <K, L> and the diagonals:
               <K~, L~> = <K, L> - n / (n - 2) sum_i K_ii L_ii + tr K tr L / ((n - 1) (n - 2)).

So all that is needed of two layers is <K, L>, or its rows. Of wide layers it is a sum over [n, n], of narrow ones
<K, L> = |X'Y|^2, a sum over [p, q]. Nothing is added to a denominator and nothing is cut off: a value may lie below 0,
and a layer that says the same of all inputs gives NaN. Products of matrices have the features' precision (on a GPU they
must not be TF32: models/device.py), sums float64.
"""

from functools import cached_property

import torch
from torch import Tensor

FEWEST = 4  # inputs: HSIC_1 divides by n - 3
ROUNDING = 8  # in units of the precision: a layer that differs by no more is constant
BLOCK = 128  # rows of a Gram matrix that are computed at a time
PIECE = 2**20  # numbers of one Gram matrix that are taken to float64 at a time


class Layer:
    """Features [n, p] of one layer of one model, made once and compared with as many others as wanted.

    It keeps them centred, or their Gram matrix [n, n] where that is less work: a pair takes n p^2 twice, for the other
    and for itself, or n^2 p / 2 once, for the Gram matrix.

    ValueError: fewer than 4 inputs, or another shape.
    """

    def __init__(self, features: Tensor) -> None:
        if features.ndim != 2 or len(features) < FEWEST:
            raise ValueError(f"features of shape {list(features.shape)}: expected [n, p] with n of at least {FEWEST}")
        features = features.detach()
        centred = _centred(features if features.dtype == torch.float64 else features.float())
        narrow = 4 * centred.shape[1] <= len(centred)
        self.features, self._gram = (centred, None) if narrow else (None, _gram(centred))
        self.diagonal = centred.square().sum(1, dtype=torch.float64) if narrow else self._gram.diag().double()

    @classmethod
    def of_gram(cls, gram: Tensor) -> "Layer":
        """Returns the layer that has this Gram matrix [n, n], centred or not."""
        gram = torch.as_tensor(gram)
        if gram.ndim != 2 or len(gram) < FEWEST or gram.shape[0] != gram.shape[1]:
            raise ValueError(f"a Gram matrix of shape {list(gram.shape)}: expected [n, n] with n of at least {FEWEST}")
        layer = cls.__new__(cls)
        rows = gram.mean(1, keepdim=True)
        layer.features, layer._gram = None, gram - rows - rows.T + rows.mean()
        if layer._gram.trace() <= ROUNDING * torch.finfo(gram.dtype).eps * gram.trace():
            layer._gram.zero_()
        layer.diagonal = layer._gram.diag().double()
        return layer

    def __len__(self) -> int:
        return len(self.diagonal)

    def gram(self, start: int = 0, stop: int | None = None) -> Tensor:
        """Returns rows of the centred Gram matrix, [stop - start, n]."""
        if self._gram is not None:
            return self._gram[start:stop]
        return self.features[start:stop] @ self.features.T

    def times(self, vector: Tensor) -> Tensor:
        """Returns Kv, [n] float64, of v [n] float64."""
        if self._gram is None:
            features = self.features.double()
            return features @ (features.T @ vector)
        return torch.cat([self._gram[a:b].double() @ vector for a, b in _pieces(len(self))])

    @cached_property
    def shift(self) -> Tensor:
        """u, [n] float64: what U-centring adds to the Gram matrix's rows and columns."""
        n = len(self)
        return self.diagonal / (n - 2) - self.diagonal.sum() / (2 * (n - 1) * (n - 2))

    @cached_property
    def squares(self) -> tuple[Tensor, Tensor]:
        """<K, K> and <K~, K~>; the latter is NaN where it is no more than what rounding leaves of the former."""
        alone = [self]
        products = _products(alone, alone)
        biased, debiased = products[0, 0], _debiased(products, alone, alone)[0, 0]
        precision = torch.finfo(self.gram(0, 1).dtype).eps + len(self) * torch.finfo(torch.float64).eps
        return biased, torch.where(debiased > ROUNDING * precision * biased, debiased, torch.nan)


def cka(a: Layer, b: Layer, debiased: bool = True) -> float:
    """Returns the CKA of two layers on the same n inputs."""
    return float(matrix([a], [b], debiased))


def of_grams(k: Tensor, l: Tensor, debiased: bool = True) -> float:  # noqa: E741
    """Returns the CKA of two layers by their Gram matrices [n, n], centred or not."""
    return cka(Layer.of_gram(k), Layer.of_gram(l), debiased)


def terms(a: Layer, b: Layer, debiased: bool = True) -> Tensor:
    """Returns what each input adds to HSIC, [n] float64 with mean HSIC.

    With r_i, scaled, the sum of row i of the product of both matrices, h_i = 2 r_i - mean(r): input i is in a row and
    in a column. That centring depends on input i, too, doesn't count: it adds to rows and columns of one matrix, and
    those of the other sum to 0. So h - HSIC is HSIC's influence function: without an input, HSIC is about the mean of
    the other h. Debiased it is so exactly once h is spread around its mean by (n - 2) / (n - 4): a jackknife over h, or
    over a ratio of such means, is then one over the inputs.
    """
    n, rows = len(a), _rows(a, b)
    if not debiased:
        return (2 * rows - rows.mean()) * n / (n - 1) ** 2
    u, v = a.shift, b.shift
    rows = rows + a.times(v) + b.times(u) + n * u * v + u * v.sum() + v * u.sum() + u @ v
    rows = (rows - (a.diagonal + 2 * u) * (b.diagonal + 2 * v)) / (n - 3)
    spread = 2 * (n - 2) / max(n - 4, 1)  # of 4 inputs none can be left out
    return rows.mean() + spread * (rows - rows.mean())


def matrix(layers_a: list[Layer], layers_b: list[Layer], debiased: bool = True) -> Tensor:
    """Returns the CKA of all pairs of layers, [A, B] float64."""
    left, right = (torch.stack([layer.squares[debiased] for layer in side]) for side in (layers_a, layers_b))
    products = _products(layers_a, layers_b)
    if debiased:
        products = _debiased(products, layers_a, layers_b)
    return products / torch.sqrt(left[:, None] * right)


def batch_terms(xs: list[Tensor], ys: list[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    """Returns `terms` of x and y, of x and x, of y and y, each [b, L]: xs and ys are the features [b, p] of L layers
    of two models on one batch of inputs.

    Over batches of equal size, mean(xy) / sqrt(mean(xx) mean(yy)) of all inputs is the minibatch estimate of CKA
    (Nguyen et al. 2021): each HSIC is unbiased, whatever the size of a batch.
    """
    pairs = [(Layer(x), Layer(y)) for x, y in zip(xs, ys, strict=True)]
    found = [(terms(x, y), terms(x, x), terms(y, y)) for x, y in pairs]
    xy, xx, yy = (torch.stack(layers, dim=1) for layers in zip(*found, strict=True))
    return xy, xx, yy


def _centred(features: Tensor) -> Tensor:
    """Takes the mean away, and what is left, too, if that is no more than rounding."""
    mean = features.mean(0)
    centred = features - mean
    least = ROUNDING * torch.finfo(features.dtype).eps * len(features) ** 0.5 * torch.linalg.vector_norm(mean)
    return centred.zero_() if torch.linalg.vector_norm(centred) <= least else centred


def _gram(features: Tensor) -> Tensor:
    """XX', [n, n]: one half is the other's mirror image."""
    n = len(features)
    gram = features.new_empty(n, n)
    for start in range(0, n, BLOCK):
        stop = min(start + BLOCK, n)
        torch.mm(features[start:stop], features[:stop].T, out=gram[start:stop, :stop])
        gram[:start, start:stop] = gram[start:stop, :start].T
    return gram


def _pieces(n: int) -> list[tuple[int, int]]:
    rows = max(1, PIECE // n)
    return [(start, min(start + rows, n)) for start in range(0, n, rows)]


def _narrow(*layers: Layer) -> bool:
    return all(layer.features is not None for layer in layers)


def _rows(a: Layer, b: Layer) -> Tensor:
    """sum_j K_ij L_ij, [n]"""
    if _narrow(a, b):
        return ((a.features @ (a.features.T @ b.features)).double() * b.features).sum(1)
    return torch.cat([torch.linalg.vecdot(a.gram(*rows).double(), b.gram(*rows).double()) for rows in _pieces(len(a))])


def _products(layers_a: list[Layer], layers_b: list[Layer]) -> Tensor:
    """<K, L> of all pairs, [A, B]."""
    if _narrow(*layers_a, *layers_b):
        return torch.stack([torch.stack([_of_features(a, b) for b in layers_b]) for a in layers_a])
    found = 0
    for rows in _pieces(len(layers_a[0])):
        left = _flat(layers_a, rows)
        found = found + left @ (left if layers_b is layers_a else _flat(layers_b, rows)).T
    return found


def _debiased(products: Tensor, layers_a: list[Layer], layers_b: list[Layer]) -> Tensor:
    """<K~, L~> of <K, L>, [A, B]."""
    left, right = (torch.stack([layer.diagonal for layer in side]) for side in (layers_a, layers_b))
    n = left.shape[1]
    return products - n / (n - 2) * left @ right.T + left.sum(1)[:, None] * right.sum(1) / ((n - 1) * (n - 2))


def _of_features(a: Layer, b: Layer) -> Tensor:
    return (a.features.T @ b.features).square().sum(dtype=torch.float64)


def _flat(layers: list[Layer], rows: tuple[int, int]) -> Tensor:
    """Rows of all Gram matrices, one after the other: [L, rows, n] as [L, rows * n] float64."""
    pieces = [layer.gram(*rows) for layer in layers]
    found = torch.empty(len(layers), *pieces[0].shape, dtype=torch.float64, device=pieces[0].device)
    for kept, piece in zip(found, pieces, strict=True):
        kept.copy_(piece)
    return found.flatten(1)
