import numpy as np
import pytest
from sklearn.decomposition import PCA

from analysis.formulas.spectrum import COMPONENTS, bases, by_batch, count_of, decomposed, effective_rank, projected


def drawn(samples: int, width: int, seed: int = 0) -> np.ndarray:
    draw = np.random.default_rng(seed)
    return np.maximum(draw.normal(size=(samples, width)) @ draw.normal(size=(width, width)), 0)


@pytest.mark.parametrize(("samples", "width"), [(80, 12), (12, 80), (20, 20)])
@pytest.mark.parametrize("centred", [False, True])
def test_is_the_singular_value_decomposition(samples: int, width: int, centred: bool) -> None:
    features = drawn(samples, width)
    found = decomposed(features, centred)
    mean = features.mean(0) if centred else np.zeros(width)
    values, vectors = np.linalg.svd(features - mean, full_matrices=False)[1:]
    count = min(samples - centred, width)
    np.testing.assert_array_equal(found.mean, mean)
    np.testing.assert_allclose(found.values, values[:count], rtol=1e-8)
    np.testing.assert_allclose(abs(np.vecdot(found.vectors.T, vectors[:count])), 1, atol=1e-7)
    np.testing.assert_allclose(found.vectors.T @ found.vectors, np.eye(count), atol=1e-12)
    if centred:
        np.testing.assert_allclose(found.values, PCA(count).fit(features).singular_values_, rtol=1e-8)


@pytest.mark.parametrize(("samples", "width"), [(80, 30), (30, 80)])
def test_values_of_0_are_left_out_and_small_ones_have_orthogonal_vectors(samples: int, width: int) -> None:
    left, right = (np.linalg.qr(np.random.default_rng(0).normal(size=(size, 9)))[0] for size in (samples, width))
    values = np.logspace(3, -2, 9)
    found = decomposed(left * values @ right.T)
    np.testing.assert_allclose(found.values, values, rtol=1e-4)
    np.testing.assert_allclose(found.vectors.T @ found.vectors, np.eye(9), atol=1e-12)
    assert len(decomposed(np.zeros((samples, width))).values) == 0


def test_half_precision_is_decomposed_in_double() -> None:
    half = (100 * drawn(50, 10)).astype(np.float16)
    for one, other in zip(decomposed(half), decomposed(half.astype(float)), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("share", [0.01, 0.5, 0.8, 0.9999, 1])
@pytest.mark.parametrize("squares", [False, True])
def test_the_least_number_that_has_the_share(share: float, squares: bool) -> None:
    values = np.sort(np.random.default_rng(0).exponential(size=30))[::-1]
    parts = values**2 if squares else values
    expected = next(k for k in range(1, 31) if sum(parts[:k]) / sum(parts) >= share - 1e-13)
    assert count_of(values, share, squares) == expected


@pytest.mark.parametrize("value", [1, 0.1, 1e-9, 7 / 3])
def test_shares_of_equal_values_are_exact(value: float) -> None:
    for k in range(1, 51):
        assert count_of(np.full(50, value), k / 50) == k
    assert count_of(np.full(50, value), 0.801) == 41


def test_effective_rank() -> None:
    assert effective_rank(np.full(7, 3.0)) == pytest.approx(7)
    assert effective_rank(np.array([5.0])) == pytest.approx(1)
    shares = np.array([0.5, 0.25, 0.25])
    assert effective_rank(12 * shares) == pytest.approx(2**1.5)  # an entropy of 1.5 bits
    assert effective_rank(np.empty(0)) == 0


def test_components_are_truncated_decompositions_and_their_sum_is_all() -> None:
    features = drawn(60, 15)
    left, values, right = np.linalg.svd(features, full_matrices=False)
    spectrum = decomposed(features)
    parts = bases(spectrum, 4, np.random.default_rng(0))
    found = {name: projected(features, basis, spectrum.mean) for name, basis in parts.items()}
    np.testing.assert_allclose(found["main"], (left[:, :4] * values[:4]) @ right[:4], atol=1e-8)
    np.testing.assert_allclose(found["residual"], (left[:, 4:] * values[4:]) @ right[4:], atol=1e-8)
    np.testing.assert_allclose(found["random_main"] + found["random_residual"], features, atol=1e-8)
    assert (abs(found["random_main"] - found["main"]).max(1) > 0.1).any()


@pytest.mark.parametrize(("samples", "width"), [(60, 15), (9, 15)])
@pytest.mark.parametrize("k", [0, 4, 9])
def test_random_subspaces_are_as_large_and_lie_in_the_span(samples: int, width: int, k: int) -> None:
    spectrum = decomposed(drawn(samples, width))
    count = len(spectrum.values)
    found = bases(spectrum, k, np.random.default_rng(0))
    assert list(found) == list(COMPONENTS)
    for name, basis in found.items():
        assert basis.shape == (width, k if "main" in name else count - k)
        np.testing.assert_allclose(basis.T @ basis, np.eye(basis.shape[1]), atol=1e-12)
        np.testing.assert_allclose(spectrum.vectors @ (spectrum.vectors.T @ basis), basis, atol=1e-12)


def test_random_subspaces_favour_no_direction() -> None:
    """A direction has on average k / r of its square within them, with the variance of a Haar subspace."""
    spectrum, draw = decomposed(drawn(40, 6)), np.random.default_rng(0)
    inside = [np.square(bases(spectrum, 2, draw)["random_main"].T @ spectrum.vectors).sum(0) for _ in range(3000)]
    np.testing.assert_allclose(np.mean(inside, 0), 2 / 6, atol=0.02)
    np.testing.assert_allclose(np.var(inside, 0), 2 * 2 * 4 / (6 * 6 * 8), atol=0.005)  # of Beta(1, 2)


def test_what_is_projected_is_taken_from_the_mean() -> None:
    features, others = drawn(60, 15), drawn(20, 15, seed=1)
    spectrum = decomposed(features, centred=True)
    main = bases(spectrum, 3, np.random.default_rng(0))["main"]
    pca = PCA(3).fit(features)
    expected = pca.inverse_transform(pca.transform(others)) - pca.mean_
    np.testing.assert_allclose(projected(others, main, spectrum.mean), expected, atol=1e-8)
    single = projected(others.astype(np.float16), main, spectrum.mean)
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, expected, atol=0.05)


@pytest.mark.parametrize("centred", [False, True])
def test_each_batch_has_its_own_directions(centred: bool) -> None:
    features = drawn(70, 20)
    found, counts = by_batch(features, 16, 0.8, squares=False, centred=centred, seed=3)
    order = np.random.default_rng(3).permutation(70)
    batches = [order[at : at + 16] for at in range(0, 70, 16)]
    assert len(counts) == len(batches) == 5
    for batch, (k, rest) in zip(batches, counts, strict=True):
        rows = features[batch] - centred * features[batch].mean(0)
        left, values, right = np.linalg.svd(rows, full_matrices=False)
        assert values[: k - 1].sum() < 0.8 * values.sum() <= values[:k].sum()
        np.testing.assert_allclose(found["main"][batch], (left[:, :k] * values[:k]) @ right[:k], atol=1e-7)
        np.testing.assert_allclose(found["residual"][batch], (left[:, k:] * values[k:]) @ right[k:], atol=1e-7)
        np.testing.assert_allclose((found["random_main"] + found["random_residual"])[batch], rows, atol=1e-7)
        ranks = [np.linalg.matrix_rank(found[name][batch], tol=1e-6) for name in ("random_main", "main")]
        assert ranks == [k, k]
        assert rest == np.linalg.matrix_rank(rows) - k


def test_batches_depend_on_the_seed_alone_and_matter() -> None:
    features = drawn(70, 20)
    one, again, other = (by_batch(features, 16, 0.8, False, False, seed)[0] for seed in (0, 0, 1))
    for name in COMPONENTS:
        np.testing.assert_array_equal(one[name], again[name])
        assert abs(one[name] - other[name]).max() > 0.1
