import numpy as np
import pytest
from scipy import stats

from analysis.statistics.between import between, of_runs


def test_the_interval_is_students():
    values = np.array([0.2, 0.5, 0.3, 0.9])
    found = of_runs(values)
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert found.mean == pytest.approx(values.mean())
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


def test_two_runs_have_a_mean_and_no_interval():
    for values in ([1.0], [1.0, 3.0]):
        found = of_runs(np.array(values))
        assert found.mean == np.mean(values)
        assert np.isnan([found.low, found.high]).all()


def test_many_at_once_each_with_its_number_of_runs():
    draw = np.random.default_rng(0)
    groups = [draw.normal(size=runs) for runs in (1, 2, 3, 7)]
    found = between(
        *(
            np.array([of(group) for group in groups])
            for of in (np.mean, lambda g: np.std(g, ddof=min(1, len(g) - 1)), len)
        )
    )
    for number, group in enumerate(groups):
        np.testing.assert_allclose(np.array(found)[:, number], of_runs(group))


@pytest.mark.parametrize("value", [0.0, 1.0, 0.94375])
def test_runs_that_share_what_was_measured_have_no_interval(value):
    found = of_runs(np.full(3, value))
    assert found.mean == pytest.approx(value)
    assert np.isnan([found.low, found.high]).all()


def test_a_mean_that_is_no_number_has_no_interval():
    assert np.isnan(between(np.array([np.inf]), np.array([np.nan]), np.array([5])).low).all()


@pytest.mark.parametrize("runs", [3, 5, 10])
def test_95_of_100_intervals_hold_the_truth(runs):
    values = np.random.default_rng(1).normal(0.3, 2.0, size=(20_000, runs))
    found = between(values.mean(1), values.std(1, ddof=1), np.full(20_000, runs))
    inside = ((found.low < 0.3) & (found.high > 0.3)).mean()
    assert inside == pytest.approx(0.95, abs=0.006)  # 4 standard errors
