from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from representations import cka as module
from representations.cka import Layer, batch_terms, cka, matrix, of_grams, terms

WIDTHS = [(4, 6), (50, 60), (4, 60), (60, 4)]  # of 30 inputs: both narrow, both wide, one of each


def features(p: int, q: int, n: int = 30, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Features that share something, are not centred and not Gaussian."""
    draw = np.random.default_rng(seed)
    shared = draw.normal(size=(n, 3))
    sides = [np.maximum(shared @ draw.normal(size=(3, width)) + draw.normal(size=(n, width)), 0) for width in (p, q)]
    return sides[0], sides[1]


def layer(values: np.ndarray) -> Layer:
    return Layer(torch.from_numpy(values))


def hsic_1(k: np.ndarray, l: np.ndarray) -> float:  # noqa: E741
    """As Song et al. (2012) write it."""
    n, ones = len(k), np.ones(len(k))
    k, l = k - np.diag(np.diag(k)), l - np.diag(np.diag(l))  # noqa: E741
    whole = (ones @ k @ ones) * (ones @ l @ ones) / ((n - 1) * (n - 2))
    return (np.trace(k @ l) + whole - 2 / (n - 2) * (ones @ k @ l @ ones)) / (n * (n - 3))


def hsic_0(k: np.ndarray, l: np.ndarray) -> float:  # noqa: E741
    """As Gretton et al. (2005) write it."""
    n = len(k)
    centring = np.eye(n) - 1 / n
    return np.trace(k @ centring @ l @ centring) / (n - 1) ** 2


def test_kornblith_and_others_published_values() -> None:
    """Those of the notebook beside their paper."""
    draw = np.random.RandomState(1337)
    x = draw.randn(100, 10)
    y = draw.randn(100, 10) + x
    assert cka(layer(x), layer(y), debiased=False) == pytest.approx(0.55761, abs=5e-6)
    assert cka(layer(x), layer(y)) == pytest.approx(0.51346, abs=5e-6)


@pytest.mark.parametrize(("p", "q"), WIDTHS)
@pytest.mark.parametrize(("debiased", "hsic"), [(True, hsic_1), (False, hsic_0)])
def test_is_the_published_formula(p: int, q: int, debiased: bool, hsic: Callable) -> None:
    x, y = features(p, q)
    k, l = x @ x.T, y @ y.T  # noqa: E741
    expected = hsic(k, l) / np.sqrt(hsic(k, k) * hsic(l, l))
    assert cka(layer(x), layer(y), debiased) == pytest.approx(expected, rel=1e-11)
    assert of_grams(torch.from_numpy(k), torch.from_numpy(l), debiased) == pytest.approx(expected, rel=1e-11)
    assert terms(layer(x), layer(y), debiased).mean().item() == pytest.approx(hsic(k, l), rel=1e-11)


def test_widths_take_both_ways() -> None:
    """Narrow layers keep their features, wide ones their Gram matrix: the tests above compare both with one formula."""
    assert [[layer(x).features is not None for x in features(*pair)] for pair in WIDTHS[:3]] == [
        [True, True],
        [False, False],
        [True, False],
    ]


@pytest.mark.parametrize("debiased", [True, False])
def test_narrow_is_as_wide(debiased: bool) -> None:
    x, y = features(5, 7)
    wide = [Layer.of_gram(torch.from_numpy(side @ side.T)) for side in (x, y)]
    torch.testing.assert_close(terms(layer(x), layer(y), debiased), terms(*wide, debiased), rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("width", [4, 60])
@pytest.mark.parametrize("debiased", [True, False])
def test_neither_rotation_nor_scale_nor_shift_matters(width: int, debiased: bool) -> None:
    x, y = features(width, width)
    rotation = np.linalg.qr(np.random.default_rng(1).normal(size=(width, width)))[0]
    moved = 1e-6 * y @ rotation + 7
    assert cka(layer(x), layer(moved), debiased) == pytest.approx(cka(layer(x), layer(y), debiased), rel=1e-6)
    assert cka(layer(x), layer(1e3 * x @ rotation), debiased) == pytest.approx(1, rel=1e-12)


@pytest.mark.parametrize("width", [4, 60])
@pytest.mark.parametrize("debiased", [True, False])
def test_equal_features_give_exactly_one(width: int, debiased: bool) -> None:
    values = torch.from_numpy(features(width, 1)[0]).float()
    assert cka(Layer(values), Layer(values.clone()), debiased) == 1
    assert terms(Layer(values), Layer(values.clone()), debiased).equal(terms(Layer(values), Layer(values), debiased))


@pytest.mark.parametrize("width", [3, 300])
def test_is_zero_on_average_where_nothing_is_shared(width: int) -> None:
    """Values below 0 stay; the biased estimate is far above."""
    draw = torch.Generator().manual_seed(0)
    pairs = [[Layer(torch.randn(16, width, generator=draw)) for _ in range(2)] for _ in range(300)]
    found = np.array([cka(*pair) for pair in pairs])
    assert abs(found.mean()) < 3 * found.std() / np.sqrt(len(found))
    assert 0.3 < (found < 0).mean() < 0.7
    assert np.mean([cka(*pair, debiased=False) for pair in pairs]) > (0.9 if width == 300 else 0.1)


@pytest.mark.parametrize(("mean", "close"), [(100, 1e-6), (1000, 1e-5)])
@pytest.mark.parametrize("width", [10, 200])
def test_float32_far_from_zero(mean: float, close: float, width: int) -> None:
    x, y = features(width, width, n=64)
    near, far = (
        [Layer(torch.from_numpy(side + shift).to(kind)) for side in (x, y)]
        for shift, kind in ((0, torch.float64), (mean, torch.float32))
    )
    assert cka(*far) == pytest.approx(cka(*near), abs=close)


@pytest.mark.parametrize("kind", [torch.float32, torch.float64])
@pytest.mark.parametrize("width", [4, 60])
def test_a_constant_layer_says_nothing(kind: torch.dtype, width: int) -> None:
    other = Layer(torch.from_numpy(features(width, 1)[0]).to(kind))
    constant = torch.full((30, width), 0.1, dtype=kind)
    noise = torch.from_numpy(np.random.default_rng(0).uniform(-1, 1, constant.shape))
    rounded = constant * (1 + torch.finfo(kind).eps * noise.to(kind))
    assert rounded.unique().numel() > 1
    for values in (constant, rounded, torch.zeros_like(constant)):
        for debiased in (True, False):
            assert np.isnan(cka(Layer(values), other, debiased))
            assert matrix([other], [other, Layer(values)], debiased).isnan().tolist() == [[False, True]]
        assert (terms(Layer(values), other) == 0).all()
        assert np.isnan(of_grams(Layer(values).gram(), other.gram()))


@pytest.mark.parametrize("kind", [torch.float32, torch.float64])
@pytest.mark.parametrize("width", [4, 60])
def test_one_input_alone_is_no_pattern(kind: torch.dtype, width: int) -> None:
    """Where one input differs from all others, nothing but rounding is left of the U-centred Gram matrix."""
    values = torch.zeros(30, width, dtype=kind)
    values[5] = torch.arange(width) + 0.7
    other = Layer(torch.from_numpy(features(width, 1)[0]).to(kind))
    assert np.isnan(cka(Layer(values), other))
    assert cka(Layer(values), other, debiased=False) > 0


@pytest.mark.parametrize("debiased", [True, False])
def test_all_pairs_are_pair_by_pair(monkeypatch: pytest.MonkeyPatch, debiased: bool) -> None:
    left, right = ([layer(side) for side in features(*pair)] for pair in ((4, 60), (50, 6)))
    pairs = torch.tensor([[cka(a, b, debiased) for b in right] for a in left], dtype=torch.float64)
    torch.testing.assert_close(matrix(left, right, debiased), pairs, rtol=1e-12, atol=0)
    monkeypatch.setattr(module, "BLOCK", 7)
    torch.testing.assert_close(matrix(left, right, debiased), pairs, rtol=1e-12, atol=0)


@pytest.mark.parametrize("shapes", [[(150, 20)] * 3, [(150, 200)] * 3, [(150, 200), (150, 9)]])
def test_all_at_once_are_one_by_one(shapes: list[tuple[int, int]]) -> None:
    values = [torch.full(shapes[0], 0.1), *(torch.randn(shape) + 5 for shape in shapes[1:])]
    for one, other in zip(Layer.all(values), map(Layer, values), strict=True):
        assert one.gram().equal(one.gram().T)
        torch.testing.assert_close(one.gram(), other.gram(), rtol=1e-5, atol=1e-4)
    assert matrix(Layer.all(values), Layer.all(values))[0].isnan().all()


def left_out(x: np.ndarray, y: np.ndarray, measured: Callable[[np.ndarray, np.ndarray], float]) -> np.ndarray:
    return np.array([measured(np.delete(x, each, 0), np.delete(y, each, 0)) for each in range(len(x))])


@pytest.mark.parametrize(("p", "q"), WIDTHS)
def test_terms_are_what_hsic_is_without_an_input(p: int, q: int) -> None:
    """By brute force, and so for CKA, whose jackknife over terms is the one over inputs."""
    x, y = features(p, q)
    sides = layer(x), layer(y)
    pairs = [(sides[0], sides[1]), (sides[0], sides[0]), (sides[1], sides[1])]
    xy, xx, yy = ((found.sum() - found) / 29 for found in (terms(*pair).numpy() for pair in pairs))
    np.testing.assert_allclose(xy, left_out(x, y, lambda x, y: hsic_1(x @ x.T, y @ y.T)), rtol=1e-10)
    np.testing.assert_allclose(xy / np.sqrt(xx * yy), left_out(x, y, lambda x, y: cka(layer(x), layer(y))), rtol=1e-10)


def test_biased_terms_are_nearly_so() -> None:
    """Without an input, the bias itself is another."""
    x, y = features(6, 120, n=100)
    found = terms(layer(x), layer(y), debiased=False).numpy()
    expected = left_out(x, y, lambda x, y: hsic_0(x @ x.T, y @ y.T))
    slope, _ = np.polyfit((found.sum() - found) / 99, expected, 1)
    assert slope == pytest.approx(1, abs=0.15)
    assert np.corrcoef(found, expected)[0, 1] < -0.99


def test_four_inputs_are_enough() -> None:
    x, y = features(2, 6, n=4)
    assert terms(layer(x), layer(y)).mean().item() == pytest.approx(hsic_1(x @ x.T, y @ y.T))


def jackknife(a: Layer, b: Layer) -> tuple[float, float]:
    """CKA and its standard error, by leaving the terms of one input out."""
    xy, xx, yy = (terms(*pair).numpy() for pair in ((a, b), (a, a), (b, b)))
    without = [(each.sum() - each) / (len(a) - 1) for each in (xy, xx, yy)]
    values = without[0] / np.sqrt(without[1] * without[2])
    return cka(a, b), np.sqrt((len(a) - 1) * values.var())


@pytest.mark.parametrize(("p", "q"), [(5, 8), (120, 60)])
def test_the_jackknife_interval_covers_the_truth(p: int, q: int) -> None:
    """Of normal features, CKA is |C_xy|^2 / (|C_xx| |C_yy|), with their covariances."""
    draw = torch.Generator().manual_seed(0)
    mixing = torch.randn(6, p + q, generator=draw, dtype=torch.float64)
    covariance = mixing.T @ mixing + torch.eye(p + q)
    norm = torch.linalg.matrix_norm
    truth = norm(covariance[:p, p:]) ** 2 / (norm(covariance[:p, :p]) * norm(covariance[p:, p:]))
    covered = []
    for _ in range(300):
        values = torch.randn(200, 6, generator=draw, dtype=torch.float64) @ mixing
        values += torch.randn(200, p + q, generator=draw)
        found, error = jackknife(Layer(values[:, :p]), Layer(values[:, p:]))
        covered.append(abs(found - truth.item()) < 1.97 * error)
    assert 0.91 <= np.mean(covered) <= 0.98


def test_minibatches_are_as_published() -> None:
    """Nguyen et al. (2021): sums over batches of HSIC_1, one batch at a time, and then the ratio."""
    layers = [features(4, 60, n=40), features(50, 6, n=40, seed=1)]
    parts = [slice(start, start + 8) for start in range(0, 40, 8)]
    batches = [
        batch_terms(*([torch.from_numpy(pair[side][part]) for pair in layers] for side in (0, 1))) for part in parts
    ]
    xy, xx, yy = (torch.cat(each).mean(0) for each in zip(*batches, strict=True))
    for index, (x, y) in enumerate(layers):
        grams = [(x[part] @ x[part].T, y[part] @ y[part].T) for part in parts]
        shared, first, second = (sum(hsic_1(pair[a], pair[b]) for pair in grams) for a, b in ((0, 1), (0, 0), (1, 1)))
        found = xy[index] / torch.sqrt(xx[index] * yy[index])
        assert found.item() == pytest.approx(shared / np.sqrt(first * second), rel=1e-10)


def test_half_precision_is_taken_to_single() -> None:
    x, y = (torch.from_numpy(side).half() for side in features(4, 60))
    assert cka(Layer(x), Layer(y)) == cka(Layer(x.float()), Layer(y.float()))


@pytest.mark.parametrize("values", [torch.randn(3, 5), torch.randn(8, 5, 2), torch.randn(8)])
def test_refuses_other_shapes(values: Tensor) -> None:
    with pytest.raises(ValueError, match=r"expected \[n, p\] with n of at least 4"):
        Layer(values)


@pytest.mark.parametrize("values", [torch.randn(3, 3), torch.randn(8, 5), torch.randn(8)])
def test_refuses_what_is_no_gram_matrix(values: Tensor) -> None:
    with pytest.raises(ValueError, match=r"expected \[n, n\] with n of at least 4"):
        Layer.of_gram(values)
