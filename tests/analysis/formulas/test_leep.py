import numpy as np
import pytest
from scipy.stats import entropy
from sklearn.metrics import mutual_info_score

from analysis.formulas.leep import leep, nce

DRAW = np.random.default_rng(0)
LABELS = np.array([2, 5, 9])[DRAW.integers(3, size=80)]  # with gaps
THETA = DRAW.dirichlet(np.where(np.arange(7) == 3, 0, 0.3) + 1e-12, size=80)  # no sample may be of class 3
THETA[:, 3] = 0
THETA /= THETA.sum(1, keepdims=True)
PREDICTIONS = np.where(DRAW.random(80) < 0.5, LABELS, DRAW.integers(3, 10, size=80))


def test_leep_is_its_definition() -> None:
    found = leep(THETA, LABELS)
    for sample, y in enumerate(LABELS):
        chance = 0.0
        for z in range(7):
            joint = sum(THETA[other, z] for other in range(80) if LABELS[other] == y) / 80
            marginal = THETA[:, z].mean()
            chance += joint / marginal * THETA[sample, z] if marginal > 0 else 0
        assert found[sample] == pytest.approx(np.log(chance))


def test_nce_is_its_definition() -> None:
    found = nce(PREDICTIONS, LABELS)
    for sample, (z, y) in enumerate(zip(PREDICTIONS, LABELS, strict=True)):
        assert found[sample] == pytest.approx(np.log((LABELS[z == PREDICTIONS] == y).mean()))


def test_nce_is_the_mutual_information_without_the_entropy_of_the_labels() -> None:
    uncertain = entropy(np.unique(LABELS, return_counts=True)[1])
    expected = mutual_info_score(PREDICTIONS, LABELS) - uncertain
    assert nce(PREDICTIONS, LABELS).mean() == pytest.approx(expected)
    assert -uncertain < expected < 0


def test_both_are_0_where_the_source_tells_the_class_and_minus_its_entropy_where_it_says_nothing() -> None:
    uncertain = entropy(np.unique(LABELS, return_counts=True)[1])
    certain = np.eye(20)[LABELS + 10 * (np.arange(80) % 2)]
    np.testing.assert_allclose(leep(certain, LABELS), 0, atol=1e-12)
    np.testing.assert_allclose(nce(certain.argmax(1), LABELS), 0, atol=1e-12)
    assert leep(np.full((80, 4), 0.25), LABELS).mean() == pytest.approx(-uncertain)
    assert nce(np.zeros(80, int), LABELS).mean() == pytest.approx(-uncertain)


def test_leep_of_certain_predictions_is_nce() -> None:
    np.testing.assert_allclose(leep(np.eye(10)[PREDICTIONS], LABELS), nce(PREDICTIONS, LABELS))
