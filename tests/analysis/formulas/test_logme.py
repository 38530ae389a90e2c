"""Against scikit-learn's Bayesian ridge regression, which iterates, and against the definition, a Gaussian density."""

from collections.abc import Iterator

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import multivariate_normal, ortho_group
from sklearn.linear_model import BayesianRidge
from threadpoolctl import threadpool_limits

from analysis.formulas.logme import greatest_evidence, logme


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Matrices are small: several threads, of several tests at once, wait for each other for seconds."""
    with threadpool_limits(1):
        yield


def drawn(samples: int, width: int, classes: int = 3, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(seed)
    labels = draw.integers(classes, size=samples)
    means = 0.4 * draw.normal(size=(classes, width))
    return np.maximum(means[labels] + draw.normal(size=(samples, width)), 0), labels


def deficient() -> tuple[np.ndarray, np.ndarray]:
    features, labels = drawn(150, 20)
    return features @ np.random.default_rng(1).normal(size=(20, 40)), labels


def dead() -> tuple[np.ndarray, np.ndarray]:
    features, labels = drawn(200, 30)
    features[:, ::3] = 0
    return features, labels


def graded() -> tuple[np.ndarray, np.ndarray]:
    features, labels = drawn(200, 15)
    return features * np.logspace(0, -4, 15) @ ortho_group.rvs(15, random_state=0), labels


def iterated(features: np.ndarray, y: np.ndarray) -> float:
    options = {"alpha_1": 0, "alpha_2": 0, "lambda_1": 0, "lambda_2": 0, "tol": 1e-10, "max_iter": 3000}
    model = BayesianRidge(**options, fit_intercept=False, compute_score=True)
    return model.fit(features, y).scores_[-1] / len(y)


CASES = {
    "more samples": drawn(300, 20),
    "more features": drawn(60, 128),
    "radiographs": drawn(199, 2048, 2),
    "as many": drawn(40, 40),
    "deficient": deficient(),
    "dead": dead(),
    "graded": graded(),
}


@pytest.mark.parametrize("case", CASES)
def test_is_the_evidence_of_bayesian_ridge_regression(case: str) -> None:
    features, labels = CASES[case]
    root = np.linalg.qr(features.T)[1].T  # the evidence depends on F F' alone, of which it is a quicker root
    same = root if features.shape[1] > 1000 else features
    expected = [iterated(same, (labels == each).astype(float)) for each in np.unique(labels)]
    assert logme(features, labels) == pytest.approx(np.mean(expected), abs=1e-6)


def test_is_the_greatest_density_of_the_labels() -> None:
    features, labels = CASES["more features"]
    found = []
    for y in ((labels == each).astype(float) for each in np.unique(labels)):

        def surprise(logs: np.ndarray, y: np.ndarray = y) -> float:
            covariance = np.exp(logs[0]) * features @ features.T + np.exp(logs[1]) * np.eye(len(y))
            return -multivariate_normal.logpdf(y, np.zeros(len(y)), covariance) / len(y)

        found.append(-minimize(surprise, [-7, -2], method="Nelder-Mead", options={"fatol": 1e-10}).fun)
    assert logme(features, labels) == pytest.approx(np.mean(found), abs=1e-6)


def test_of_several_peaks_the_highest_is_taken() -> None:
    """Directions of two very different sizes, which both tell something of the class."""
    t, n, higher = np.exp(np.arange(-20, 20, 0.001)), 200, []
    for large, size, count, parts in ((1, 8e4, 12, (0.05, 0.44)), (12, 7e3, 12, (0.23, 0.26))):
        g = np.repeat([size, 1], [large, count])
        z2, outside = np.repeat(np.divide(parts, (large, count)), [large, count]), 1 - sum(parts)
        kept = t[:, None] / (t[:, None] + g)
        curve = 0.5 * (np.log(kept).sum(1) / n + np.log(n / (outside + kept @ z2)) - 1 - np.log(2 * np.pi))
        (peaks,) = np.nonzero((curve[1:-1] > curve[:-2]) & (curve[1:-1] > curve[2:]))
        assert len(peaks) == 2
        higher.append(curve[1:-1][peaks].argmax())
        found = greatest_evidence(g, z2[None], np.array([outside]), n)
        np.testing.assert_allclose(found, curve.max(), atol=1e-7)
    assert higher == [0, 1]


@pytest.mark.parametrize("case", ["more samples", "more features"])
def test_depends_on_neither_scale_nor_rotation_but_on_the_mean(case: str) -> None:
    features, labels = CASES[case]
    score = logme(features, labels)
    for factor in (1000, 0.001):
        assert logme(factor * features, labels) == pytest.approx(score, abs=1e-12)
    turn = ortho_group.rvs(features.shape[1], random_state=0)
    assert logme(features @ turn, labels) == pytest.approx(score, abs=1e-10)
    assert abs(logme(features + 5, labels) - score) > 1e-3


def test_only_classes_that_occur_count() -> None:
    features, labels = CASES["more samples"]
    names = np.array([7, 100, 40])[labels]
    assert logme(features, names) == pytest.approx(logme(features, labels), abs=1e-14)


def test_half_precision_is_computed_in_double() -> None:
    features, labels = drawn(300, 20)
    half = (100 * features).astype(np.float16)  # the squares of many of them overflow
    assert logme(half, labels) == logme(half.astype(np.float64), labels)


def test_features_that_say_nothing_are_as_good_as_the_best_variance() -> None:
    labels = np.arange(90) % 3
    expected = 0.5 * (np.log(3) - 1 - np.log(2 * np.pi))
    assert logme(np.zeros((90, 5)), labels) == pytest.approx(expected, abs=1e-12)
    sums_to_0 = np.tile([1.0, -1.0], 45)[:, None] * np.ones(3)  # 15 of each sign in each class
    assert logme(sums_to_0, labels) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("spread", [0, -2, -5, -5.5])
def test_nothing_limits_the_evidence_of_what_is_fitted_exactly(spread: int) -> None:
    draw, labels = np.random.default_rng(0), np.arange(300) % 3
    hidden = np.concatenate([np.eye(3)[labels], draw.normal(size=(300, 37))], 1)
    features = hidden * np.logspace(spread, 0, 40) @ ortho_group.rvs(40, random_state=0)  # the classes are the least
    assert logme(features, labels) == np.inf
    almost = np.eye(3)[labels] + 1e-4 * draw.normal(size=(300, 3))
    assert 0 < logme(almost, labels) < 20


def test_copies_of_a_sample_are_foretold_exactly_where_features_are_many() -> None:
    features, labels = CASES["more features"]
    again = np.append(labels, labels[0])
    assert logme(np.concatenate([features, features[:1]]), again) == np.inf
    assert np.isfinite(logme(features, labels))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_no_number_is_refused(value: float) -> None:
    features, labels = drawn(30, 5)
    features[3, 2] = value
    with pytest.raises(ValueError, match="no number"):
        logme(features, labels)
