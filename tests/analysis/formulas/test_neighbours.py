from collections import Counter

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier, NearestNeighbors

from analysis.formulas import neighbours
from analysis.formulas.neighbours import left_out


@pytest.fixture
def drawn() -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(0)
    labels = draw.integers(4, size=150)
    features = 0.6 * draw.normal(size=(4, 10))[labels] + draw.normal(size=(150, 10))
    return features * draw.uniform(0.1, 10, size=(150, 1)), np.array([3, 8, 1, 20])[labels]


@pytest.mark.parametrize("k", [1, 2, 5, 12])
def test_votes_are_those_of_scikit_learns_neighbours(drawn: tuple[np.ndarray, np.ndarray], k: int) -> None:
    features, labels = drawn
    near = NearestNeighbors(n_neighbors=k, metric="cosine").fit(features).kneighbors()[1]
    expected = []
    for sample, votes in enumerate(labels[near]):
        counts = Counter(votes.tolist())
        (first, *_) = (vote for vote in votes if counts[vote] == max(counts.values()))
        expected.append(first == labels[sample])
    found = left_out(features, labels, k)
    assert found.dtype == bool
    np.testing.assert_array_equal(found, expected)
    assert 0.3 < found.mean() < 0.95


def test_is_scikit_learns_classifier_without_the_sample(drawn: tuple[np.ndarray, np.ndarray]) -> None:
    features, labels = drawn
    found = left_out(features, labels, 1)
    for sample in range(0, 150, 10):
        others = np.arange(150) != sample
        model = KNeighborsClassifier(1, metric="cosine").fit(features[others], labels[others])
        assert found[sample] == (model.predict(features[[sample]])[0] == labels[sample])


def test_a_tie_goes_to_the_nearest() -> None:
    angles, labels = np.deg2rad([0, 10, 20, 30, 45]), np.array([0, 0, 1, 1, 0])
    features = np.stack([np.cos(angles), np.sin(angles)], 1)
    assert left_out(features, labels, 2)[0]  # 0 at 10 degrees, 1 at 20
    assert not left_out(features, labels, 3)[0]  # 1 has two votes
    assert left_out(features, labels, 4)[0]  # two votes each, and the nearest is 0


def test_no_sample_is_its_own_neighbour() -> None:
    angles = np.deg2rad([0, 120, 240])  # all others are less similar than orthogonal
    assert not left_out(np.stack([np.cos(angles), np.sin(angles)], 1), np.arange(3), 1).any()


def test_does_not_depend_on_blocks_or_scale(
    drawn: tuple[np.ndarray, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    features, labels = drawn
    whole = left_out(features, labels, 5)
    monkeypatch.setattr(neighbours, "BLOCK", 7 * 150)
    for factor in (1, 2.0**-100, 2.0**100):  # the squares of float32 would overflow
        np.testing.assert_array_equal(left_out(factor * features, labels, 5), whole)
    half = features.astype(np.float16)
    np.testing.assert_array_equal(left_out(half, labels, 5), left_out(half.astype(float), labels, 5))


@pytest.mark.parametrize("k", [0, 150])
def test_there_have_to_be_so_many_others(drawn: tuple[np.ndarray, np.ndarray], k: int) -> None:
    with pytest.raises(ValueError, match=f"{k} nearest others of 150"):
        left_out(*drawn, k)
