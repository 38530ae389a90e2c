import numpy as np
import pytest
from sklearn.covariance import LedoitWolf
from sklearn.cross_decomposition import CCA

from analysis.formulas.h_score import h_score


def drawn(samples: int, width: int, spread: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(0)
    labels = draw.integers(4, size=samples)
    features = spread * draw.normal(size=(4, width))[labels] + draw.normal(size=(samples, width))
    return features @ draw.normal(size=(width, width)) + 3, labels


def between(features: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The covariance of each sample's class mean."""
    means = np.stack([features[labels == each].mean(0) for each in labels])
    return np.cov(means, rowvar=False, bias=True)


@pytest.mark.parametrize(("samples", "width"), [(200, 12), (40, 100)])
def test_is_the_direct_definition_with_scikit_learns_covariance(samples: int, width: int) -> None:
    features, labels = drawn(samples, width)
    shrunk = LedoitWolf().fit(features)
    assert 0.01 < shrunk.shrinkage_ < 0.99
    expected = (1 - shrunk.shrinkage_) * np.trace(np.linalg.solve(shrunk.covariance_, between(features, labels)))
    assert h_score(features, labels) == pytest.approx(expected, rel=1e-9)


def test_is_pillais_trace_without_shrinkage() -> None:
    """The sum of squared canonical correlations of features and classes."""
    features, labels = drawn(200, 6)
    classes = np.eye(4)[labels][:, :3]
    left, right = CCA(3, max_iter=5000, tol=1e-12).fit_transform(features, classes)
    expected = sum(np.corrcoef(left[:, each], right[:, each])[0, 1] ** 2 for each in range(3))
    assert h_score(features, labels, shrinkage=0) == pytest.approx(expected, rel=1e-6)


def test_says_nothing_without_shrinkage_where_features_are_many() -> None:
    features, labels = drawn(40, 100, spread=0)
    assert h_score(features, labels, shrinkage=0) == pytest.approx(3)
    assert h_score(features, labels) < 1.5


def test_grows_as_classes_lie_apart_up_to_one_less_than_there_are() -> None:
    scores = [h_score(*drawn(400, 10, spread)) for spread in (0, 0.3, 1, 30)]
    assert 0 < scores[0] < scores[1] < scores[2] < scores[3] < 3
    assert scores[3] > 2.9


def test_labels_may_have_gaps_and_features_half_precision() -> None:
    features, labels = drawn(100, 8)
    half = features.astype(np.float16)
    assert h_score(half, labels * 10 + 3) == pytest.approx(h_score(half.astype(float), labels), rel=1e-12)


def test_constant_features_tell_nothing() -> None:
    assert h_score(np.ones((20, 3)), np.arange(20) % 2) == 0
