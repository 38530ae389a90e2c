import numpy as np
import pytest
import torch

from representations.cka import Layer, cka
from representations.permuted import calibrated


def drawn(p: int, q: int, n: int = 40, share: float = 0.3, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    draw = np.random.RandomState(seed)  # its numbers are the same in all versions of NumPy
    shared = draw.randn(n, 3)
    sides = [share * shared @ draw.randn(3, width) + draw.randn(n, width) for width in (p, q)]
    return torch.from_numpy(sides[0]), torch.from_numpy(sides[1])


def orders(n: int, count: int, seed: int) -> list[torch.Tensor]:
    draw = torch.Generator().manual_seed(seed)
    return [torch.randperm(n, generator=draw) for _ in range(count)]


@pytest.mark.parametrize(("p", "q"), [(4, 6), (4, 60), (60, 90)])
@pytest.mark.parametrize("debiased", [True, False])
def test_is_algorithm_1(p: int, q: int, debiased: bool) -> None:
    """One permutation at a time, by permuted features."""
    x, y = drawn(p, q)
    null = [cka(Layer(x), Layer(y[order]), debiased) for order in orders(40, 99, seed=3)]
    observed = cka(Layer(x), Layer(y), debiased)
    threshold = sorted([observed, *null])[94]  # 95 of 100 are no greater
    value, p_value, found = calibrated(Layer(x), Layer(y), 99, seed=3, debiased=debiased)
    assert found == pytest.approx(threshold, rel=1e-10)
    assert p_value == pytest.approx((1 + sum(each >= observed for each in null)) / 100)
    assert value == pytest.approx(max(0, (observed - threshold) / (1 - threshold)), rel=1e-9)


def test_agrees_with_the_authors_package() -> None:
    package = pytest.importorskip("calibrated_similarity")
    x, y = drawn(60, 90)
    expected = package.calibrate(
        x, y, lambda a, b: cka(Layer(a), Layer(b), False), K=200, generator=torch.Generator().manual_seed(7)
    )
    found = calibrated(Layer(x), Layer(y), 200, seed=7, debiased=False)
    assert found == pytest.approx([each.item() for each in expected], abs=1e-6)


@pytest.mark.parametrize(
    ("p", "q", "share", "expected"),
    [
        (60, 90, 0.3, (0.496411, 1 / 201, 0.510878)),
        (5, 8, 0.3, (0.0322074, 2 / 201, 0.188562)),
        (60, 90, 0, (0, 86 / 201, 0.671808)),
    ],
)
def test_is_what_the_authors_package_gave(p: int, q: int, share: float, expected: tuple[float, ...]) -> None:
    """calibrated-similarity 0.1.1: value, p, threshold of the same features and permutations."""
    x, y = drawn(p, q, share=share)
    assert calibrated(Layer(x), Layer(y), 200, seed=7, debiased=False) == pytest.approx(expected, rel=2e-6)


def test_equal_layers_stay_one() -> None:
    x, _ = drawn(5, 1)
    assert calibrated(Layer(x), Layer(3 * x), 99, seed=0)[:2] == (pytest.approx(1), 0.01)


@pytest.mark.parametrize(("p", "q"), [(3, 2), (30, 50)])
def test_p_is_uniform_where_nothing_is_shared(p: int, q: int) -> None:
    """And the calibrated value is 0 in 19 of 20 cases, whatever the width."""
    pairs = [drawn(p, q, n=12, share=0, seed=seed) for seed in range(300)]
    found = np.array([calibrated(Layer(x), Layer(y), 19, seed=seed) for seed, (x, y) in enumerate(pairs)])
    counts = np.bincount(np.rint(found[:, 1] * 20).astype(int), minlength=21)[1:]
    assert np.sum((counts - 15) ** 2 / 15) < 43.8  # chi-squared with 19 degrees of freedom: 1 in 1,000
    assert 0.02 < (found[:, 0] > 0).mean() < 0.09


def test_a_constant_layer_has_none() -> None:
    x, _ = drawn(5, 1)
    assert np.isnan(calibrated(Layer(x), Layer(torch.full((40, 5), 0.1, dtype=x.dtype)), 19, seed=0)).all()
