import numpy as np
import pytest

from analysis.formulas.accuracy import chance, epochs_to_reach, outcomes


def test_outcomes_are_per_sample_and_epoch():
    predictions = np.array([[0, 0, 0, 0], [0, 1, 2, 0], [0, 1, 2, 1]], dtype=np.int32)
    found = outcomes(predictions, np.arange(12, dtype=np.float32).reshape(3, 4), labels=np.array([0, 1, 2, 1]))
    assert found.correct.tolist() == [[1, 1, 1], [0, 1, 1], [0, 1, 1], [0, 0, 1]]
    assert found.losses.tolist() == [[0, 4, 8], [1, 5, 9], [2, 6, 10], [3, 7, 11]]
    assert found.losses.dtype == found.correct.dtype == np.float64


@pytest.mark.parametrize("labels", [[0, 1, 2, 3] * 5, [0, 0, 0, 1, 2, 2], [0, 0, 3, 3, 3]])
def test_chance_is_the_best_that_needs_no_input(labels):
    labels = np.array(labels)
    found = chance(labels)
    assert found["accuracy"] == max((labels == label).mean() for label in range(4))
    shares = np.array([(labels == label).mean() for label in range(4)])
    losses = -np.log(shares[labels]).mean()  # of the prediction that is best without input: the shares
    assert found["loss"] == pytest.approx(losses)


def test_epochs_to_reach_is_the_first_epoch_at_the_target():
    curves = np.array([[0.1, 0.5, 0.9, 0.8], [0.9, 0.1, 0.1, 0.9], [0.1, 0.2, 0.3, 0.4], [0.1, 0.9, 0.2, 0.95]])
    assert epochs_to_reach(curves, np.array([0.8, 0.9, 0.5, 0.95])).tolist() == [2, 0, 4, 3]  # 4: never


def test_epochs_to_reach_has_a_target_for_each_curve():
    curves = np.tile(np.linspace(0, 1, 5), (2, 3, 1))
    assert epochs_to_reach(curves, np.array([[0.0, 0.3, 1.0], [0.25, 0.26, 1.1]])).tolist() == [[0, 2, 4], [1, 2, 5]]
