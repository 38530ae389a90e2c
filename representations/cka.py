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

from collections.abc import Iterator
from functools import cached_property
from math import nan, sqrt

import torch
from torch import Tensor

FEWEST = 4  # inputs: HSIC_1 divides by n - 3
ROUNDING = 8  # in units of the precision: a layer that differs by no more is constant
BLOCK = 64  # rows of Gram matrices that are computed, and multiplied in float64, at a time


class Layer:
    """Features [n, p] of one layer of one model, made once and compared with as many others as wanted.

    It keeps them centred, or their Gram matrix [n, n] where that is less work: a pair takes n p^2 twice, for the other
    and for itself, or n^2 p / 2 once, for the Gram matrix.

    ValueError: fewer than 4 inputs, or another shape.
    """

    def __init__(self, features: Tensor) -> None:
        self._take(*next(_made([features])))

    @classmethod
    def all(cls, features: list[Tensor]) -> list["Layer"]:
        """Returns a layer of each of the features [n, p]. Those of equal shape are made at once, by fewer and larger
        products, and are all in memory as float32 meanwhile."""
        if len({(each.shape, each.dtype) for each in features}) != 1:
            return [cls(each) for each in features]
        return [cls.__new__(cls)._take(*made) for made in _made(features)]

    @classmethod
    def of_gram(cls, gram: Tensor) -> "Layer":
        """Returns the layer that has this Gram matrix [n, n], centred or not."""
        gram = torch.as_tensor(gram)
        if gram.ndim != 2 or len(gram) < FEWEST or gram.shape[0] != gram.shape[1]:
            raise ValueError(f"a Gram matrix of shape {list(gram.shape)}: expected [n, n] with n of at least {FEWEST}")
        rows = gram.mean(1, keepdim=True)
        centred, least = gram - rows - rows.T + rows.mean(), ROUNDING * torch.finfo(gram.dtype).eps * gram.trace()
        return cls.__new__(cls)._take(None, centred, centred.diag().double(), float(least))

    def _take(self, features: Tensor | None, gram: Tensor | None, diagonal: Tensor, least: float) -> "Layer":
        """Keeps them, and makes them 0 where no more than rounding is left without the mean."""
        self.features, self._half, self.diagonal = features, gram, diagonal
        if float(diagonal.sum()) <= least:
            diagonal.zero_()
            (features if gram is None else gram).zero_()
        return self

    def __len__(self) -> int:
        return len(self.diagonal)

    def gram(self, start: int = 0, stop: int | None = None) -> Tensor:
        """Returns rows of the centred Gram matrix, [stop - start, n]."""
        if self.features is None:
            return self._gram[start:stop]
        return self.features[start:stop] @ self.features.T

    def half(self, start: int, stop: int) -> Tensor:
        """Returns rows of the centred Gram matrix up to the square on its diagonal, [stop - start, stop]."""
        return (self._half[start:stop] if self.features is None else self.gram(start, stop))[:, :stop]

    @cached_property
    def _gram(self) -> Tensor:
        """[n, n], with the mirror image of its lower half once whole rows are asked for: `matrix` needs none."""
        for start, stop in _pieces(len(self)):
            self._half[:start, start:stop] = self._half[start:stop, :start].T
        return self._half

    def times(self, vector: Tensor) -> Tensor:
        """Returns Kv, [n] float64, of v [n] float64."""
        if self.features is not None:
            features = self.features.double()
            return features @ (features.T @ vector)
        return torch.cat([self._gram[a:b].double() @ vector for a, b in _pieces(len(self))])

    @cached_property
    def shift(self) -> Tensor:
        """u, [n] float64: what U-centring adds to the Gram matrix's rows and columns."""
        n = len(self)
        return self.diagonal / (n - 2) - self.diagonal.sum() / (2 * (n - 1) * (n - 2))

    @cached_property
    def squares(self) -> list[float]:
        """<K, K> and <K~, K~>, NaN where they are 0, or what rounding leaves."""
        return [float(each) for each in _squares(_pairwise([self], [self]), [self])]


def cka(a: Layer, b: Layer, debiased: bool = True) -> float:
    """Returns the CKA of two layers on the same n inputs."""
    product = _pairwise([a], [b])
    if debiased:
        product = _debiased_pairs(product, [a], [b])
    return float(product) / sqrt(a.squares[debiased] * b.squares[debiased])


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
    products, *squares = _all_products(layers_a, layers_b)
    if debiased:
        left, right = _diagonals(layers_a), _diagonals(layers_b)
        products = _debiased(products, left @ right.T, torch.outer(left.sum(1), right.sum(1)), left.shape[1])
    left, right = (_squares(*side)[debiased] for side in zip(squares, (layers_a, layers_b), strict=True))
    return products / torch.sqrt(torch.outer(left, right))


def batch_terms(xs: list[Tensor], ys: list[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    """Returns `terms` of x and y, of x and x, of y and y, each [b, L]: xs and ys are the features [b, p] of L layers
    of two models on one batch of inputs.

    Over batches of equal size, mean(xy) / sqrt(mean(xx) mean(yy)) of all inputs is the minibatch estimate of CKA
    (Nguyen et al. 2021): each HSIC is unbiased, whatever the size of a batch.
    """
    pairs = zip(Layer.all(xs), Layer.all(ys), strict=True)
    found = [(terms(x, y), terms(x, x), terms(y, y)) for x, y in pairs]
    xy, xx, yy = (torch.stack(layers, dim=1) for layers in zip(*found, strict=True))
    return xy, xx, yy


def _made(layers: list[Tensor]) -> Iterator[tuple[Tensor | None, Tensor | None, Tensor, float]]:
    """What a layer keeps, and how much of its trace may be rounding, of each of the features [n, p]."""
    stacked = torch.stack(layers).detach()
    if stacked.ndim != 3 or stacked.shape[1] < FEWEST:
        raise ValueError(f"features of shape {list(layers[0].shape)}: expected [n, p] with n of at least {FEWEST}")
    centred, (count, n, p) = stacked if stacked.dtype == torch.float64 else stacked.float(), stacked.shape
    mean = centred.mean(1, keepdim=True)
    centred -= mean
    least = ROUNDING**2 * torch.finfo(mean.dtype).eps ** 2 * n * mean.square().sum((1, 2))
    if 4 * p <= n:
        return zip(centred, [None] * count, centred.square().sum(2, dtype=torch.float64), least.tolist(), strict=True)
    grams = centred.new_empty(count, n, n)  # right of the squares on the diagonal is the mirror image: Layer._gram
    for start, stop in _pieces(n):
        grams[:, start:stop, :stop] = centred[:, start:stop] @ centred[:, :stop].mT
    return zip([None] * count, grams, grams.diagonal(dim1=1, dim2=2).double(), least.tolist(), strict=True)


def _pieces(n: int) -> list[tuple[int, int]]:
    return [(start, min(start + BLOCK, n)) for start in range(0, n, BLOCK)]


def _narrow(*layers: Layer) -> bool:
    return all(layer.features is not None for layer in layers)


def _rows(a: Layer, b: Layer) -> Tensor:
    """sum_j K_ij L_ij, [n]"""
    if _narrow(a, b):
        return ((a.features @ (a.features.T @ b.features)).double() * b.features).sum(1)
    return torch.cat([torch.linalg.vecdot(a.gram(*rows).double(), b.gram(*rows).double()) for rows in _pieces(len(a))])


def _pairwise(layers_a: list[Layer], layers_b: list[Layer]) -> Tensor:
    """<K, L> of the first of both sides, of the second, and so on, [L]."""
    if _narrow(*layers_a, *layers_b):
        return torch.stack([_of_features(a, b) for a, b in zip(layers_a, layers_b, strict=True)])
    pieces = _pieces(len(layers_a[0]))
    return sum(torch.linalg.vecdot(_flat(layers_a, *rows), _flat(layers_b, *rows)) for rows in pieces)


def _all_products(layers_a: list[Layer], layers_b: list[Layer]) -> tuple[Tensor, Tensor, Tensor]:
    """<K, L> of all pairs, [A, B], and those of each layer with itself, [A] and [B]."""
    if _narrow(*layers_a, *layers_b):
        found = torch.stack([torch.stack([_of_features(a, b) for b in layers_b]) for a in layers_a])
        return found, _pairwise(layers_a, layers_a), _pairwise(layers_b, layers_b)
    found = first = second = 0
    for rows in _pieces(len(layers_a[0])):
        left, right = _flat(layers_a, *rows), _flat(layers_b, *rows)
        found = found + left @ right.T
        first, second = first + left.norm(dim=1) ** 2, second + right.norm(dim=1) ** 2  # in one pass, as vecdot is not
    return found, first, second


def _squares(biased: Tensor, layers: list[Layer]) -> tuple[Tensor, Tensor]:
    """<K, K> and <K~, K~> of each layer, [L], by the former; NaN where they are 0, or what rounding leaves."""
    precisions = [torch.finfo(layer.half(0, 1).dtype).eps for layer in layers]
    least = ROUNDING * (max(precisions) + len(layers[0]) * torch.finfo(torch.float64).eps) * biased
    debiased = _debiased_pairs(biased, layers, layers)
    return torch.where(biased > least, biased, nan), torch.where(debiased > least, debiased, nan)


def _debiased_pairs(products: Tensor, layers_a: list[Layer], layers_b: list[Layer]) -> Tensor:
    left, right = _diagonals(layers_a), _diagonals(layers_b)
    return _debiased(products, torch.linalg.vecdot(left, right), left.sum(1) * right.sum(1), left.shape[1])


def _debiased(products: Tensor, diagonals: Tensor, traces: Tensor, n: int) -> Tensor:
    """<K~, L~> of <K, L>, of the sum of K_ii L_ii and of the product of the traces."""
    return products - n / (n - 2) * diagonals + traces / ((n - 1) * (n - 2))


def _diagonals(layers: list[Layer]) -> Tensor:
    return torch.stack([layer.diagonal for layer in layers])


def _of_features(a: Layer, b: Layer) -> Tensor:
    return (a.features.T @ b.features).square().sum(dtype=torch.float64)


def _flat(layers: list[Layer], start: int, stop: int) -> Tensor:
    """Rows of all Gram matrices, one after the other, [L, rows * stop] float64. What is left of the square on the
    diagonal stands for its mirror image, too: a product of two has it twice."""
    found = layers[0].diagonal.new_empty(len(layers), stop - start, stop)
    for kept, layer in zip(found, layers, strict=True):
        kept.copy_(layer.half(start, stop))
    found[:, :, :start] *= 2**0.5
    return found.flatten(1)
