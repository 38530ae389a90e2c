import numpy as np
import pytest

from analysis.statistics.estimate import estimate, quotient, resamples


def test_weights_are_how_often_each_sample_is_drawn():
    weights = resamples(7, 500, seed=0)
    counts = 7 * weights
    np.testing.assert_allclose(counts, counts.round(), atol=1e-12)
    np.testing.assert_allclose(weights.sum(1), 1, rtol=1e-12)
    np.testing.assert_allclose(weights.mean(0), 1 / 7, rtol=0.15)
    assert counts.std() == pytest.approx(np.sqrt(6 / 7), rel=0.05)  # of a binomial distribution
    np.testing.assert_array_equal(weights, resamples(7, 500, seed=0))
    assert (weights != resamples(7, 500, seed=1)).any()


def test_mean_and_interval_equal_a_loop_over_resamples():
    weights = resamples(12, 200, seed=0)
    per_sample = np.random.default_rng(0).normal(size=(12, 3))
    draws = []
    for row in weights:
        drawn = np.repeat(np.arange(12), np.round(12 * row).astype(int))
        assert len(drawn) == 12
        draws.append(per_sample[drawn].mean(0))
    low, high = np.percentile(draws, (2.5, 97.5), axis=0, method="inverted_cdf")
    found = estimate((per_sample,), [], weights)
    np.testing.assert_allclose(found.mean, per_sample.mean(0), rtol=1e-12)
    np.testing.assert_allclose(found.low, low, rtol=1e-9)
    np.testing.assert_allclose(found.high, high, rtol=1e-9)
    assert np.isnan(found.chance).all()


def test_a_ratio_is_that_of_the_means_in_every_resample():
    weights = resamples(12, 200, seed=0)
    above, below = np.random.default_rng(0).random((2, 12)) + 0.1
    low, high = np.percentile(
        [(row * above).sum() / (row * below).sum() for row in weights], (2.5, 97.5), method="inverted_cdf"
    )
    found = estimate((above, below), [], weights, quotient)
    assert found[:3] == pytest.approx((above.sum() / below.sum(), low, high), rel=1e-12)
    assert found.mean != pytest.approx((above / below).mean(), rel=0.05)


def test_chance_is_the_mean_over_permutations_of_the_statistic():
    weights = resamples(4, 20, seed=0)
    pairs = [(np.array([1.0, 2, 3, 4]), np.full(4, 2.0)), (np.array([4.0, 4, 4, 8]), np.full(4, 4.0))]
    found = estimate(pairs[0], pairs, weights, quotient)
    assert found.chance == pytest.approx((1.25 + 1.25) / 2)
    found = estimate(pairs[0], [pairs[0], (np.zeros(4), np.ones(4))], weights, quotient)
    assert found.chance == pytest.approx(1.25 / 2)


def test_intervals_contain_the_truth_about_as_often_as_they_say():
    datasets = np.random.default_rng(0).exponential(size=(50, 800))  # of 50 samples each; the truth is 1
    found = estimate((datasets,), [], resamples(50, 1000, seed=0))
    assert ((found.low < found.mean) & (found.mean < found.high)).all()
    assert 0.89 < ((found.low < 1) & (found.high > 1)).mean() < 0.97


def test_intervals_shrink_with_the_square_root_of_the_samples():
    def width(samples):
        datasets = np.random.default_rng(0).normal(size=(samples, 200))
        found = estimate((datasets,), [], resamples(samples, 1000, seed=0))
        return (found.high - found.low).mean()

    assert width(400) == pytest.approx(2 * 1.96 / 20, rel=0.05)
    assert width(25) / width(400) == pytest.approx(4, rel=0.1)


def test_samples_that_agree_leave_no_doubt():
    found = estimate((np.full((5, 2), 3.0),), [], resamples(5, 100, seed=0))
    np.testing.assert_allclose([found.mean, found.low, found.high], 3, rtol=1e-12)


def test_quotients_by_zero_warn_of_nothing():
    with np.errstate(all="raise"):
        found = quotient(np.array([0.0, 1.0, 3.0]), np.array([0.0, 0.0, 2.0]))
    assert np.isnan(found[0])
    assert found[1:].tolist() == [np.inf, 1.5]


def test_a_quotient_that_is_infinite_in_every_resample_has_an_infinite_interval():
    with np.errstate(all="raise"):
        found = estimate((np.ones(5), np.zeros(5)), [], resamples(5, 100, seed=0), quotient)
    assert found[:3] == (np.inf, np.inf, np.inf)


def test_what_is_above_chance_in_every_sample_is_beyond_chance_however_much_samples_differ():
    level = np.random.default_rng(0).exponential(10, size=20)
    found = estimate((level + 0.1,), [(level,)], resamples(20, 1000, seed=0))
    assert found.low < found.chance < found.mean
    assert found.beyond == pytest.approx(0.1)
    assert estimate((level,), [(level,)], resamples(20, 1000, seed=0)).beyond == 0
