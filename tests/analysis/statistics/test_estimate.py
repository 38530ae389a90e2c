"""Each kind of interval against its definition, by hand or by a loop."""

import numpy as np
import pytest
from scipy import stats
from scipy.stats import t

from analysis.statistics.estimate import bootstrap_t, jackknife, percentiles, quotient, resamples, together

WEIGHTS = resamples(12, 400, seed=0)


@pytest.fixture
def strengths():
    return np.random.default_rng(0).lognormal(size=(2, 12, 3))


def drawn():
    """Yields the samples of each resample."""
    for row in WEIGHTS:
        chosen = np.repeat(np.arange(12), np.round(12 * row).astype(int))
        assert len(chosen) == 12
        yield chosen


def ends(distance, level=95):
    return np.percentile(distance, [50 - level / 2, 50 + level / 2], axis=0)


def test_weights_are_how_often_each_sample_is_drawn():
    weights = resamples(7, 500, seed=0)
    counts = 7 * weights
    np.testing.assert_allclose(counts, counts.round(), atol=1e-12)
    np.testing.assert_allclose(weights.sum(1), 1, rtol=1e-12)
    np.testing.assert_allclose(weights.mean(0), 1 / 7, rtol=0.15)
    assert counts.std() == pytest.approx(np.sqrt(6 / 7), rel=0.05)  # of a binomial distribution
    np.testing.assert_array_equal(weights, resamples(7, 500, seed=0))
    assert (weights != resamples(7, 500, seed=1)).any()


def test_the_interval_of_a_mean_is_students(strengths):
    found = jackknife((strengths[0],))
    expected = stats.ttest_1samp(strengths[0], 0).confidence_interval(0.95)
    np.testing.assert_allclose(found.value, strengths[0].mean(0), rtol=1e-12)
    np.testing.assert_allclose((found.low, found.high), expected, rtol=1e-12)
    np.testing.assert_array_equal(found.pseudo, strengths[0])
    assert not found.log


@pytest.mark.parametrize("log", [False, True])
def test_pseudo_values_come_from_leaving_each_sample_out(strengths, log):
    above, below = strengths
    found, scale = jackknife((above, below), quotient, log), np.log if log else np.asarray
    whole, pseudo = above.sum(0) / below.sum(0), []
    for sample in range(12):
        rest = np.arange(12) != sample
        pseudo.append(12 * scale(whole) - 11 * scale(above[rest].sum(0) / below[rest].sum(0)))
    np.testing.assert_allclose(found.value, whole, rtol=1e-12)
    np.testing.assert_allclose(found.pseudo, pseudo, rtol=1e-10)
    half = stats.t.ppf(0.975, 11) * np.std(pseudo, axis=0, ddof=1) / np.sqrt(12)
    expected = (whole / np.exp(half), whole * np.exp(half)) if log else (whole - half, whole + half)
    np.testing.assert_allclose((found.low, found.high), expected, rtol=1e-10)
    assert found.log is log


def test_a_statistic_may_be_of_several_numbers(strengths):
    found = jackknife((strengths[0],), lambda mean: mean[:, 0] - mean[:, 1])
    expected = jackknife((strengths[0][:, 0] - strengths[0][:, 1],))
    for one, other in zip(found[:4], expected[:4], strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12)


def test_bootstrap_t_studentises_the_logarithm_of_every_resample(strengths):
    x, distance = strengths[0], []
    for chosen in drawn():
        again = x[chosen]
        error = again.std(0, ddof=0) / np.sqrt(11) / again.mean(0)
        distance.append((np.log(again.mean(0)) - np.log(x.mean(0))) / error)
    low, high = ends(distance)
    error = x.std(0, ddof=1) / np.sqrt(12) / x.mean(0)
    found = bootstrap_t(x, WEIGHTS)
    np.testing.assert_allclose(found.low, x.mean(0) * np.exp(-high * error), rtol=1e-9)
    np.testing.assert_allclose(found.high, x.mean(0) * np.exp(-low * error), rtol=1e-9)
    np.testing.assert_array_equal(found.pseudo, jackknife((x,), log=True).pseudo)
    assert found.log


def test_together_has_the_bound_of_independent_or_of_equal_differences():
    draw = np.random.default_rng(3)
    apart = np.linalg.qr(draw.normal(size=(12, 5)) - 0.0)[0]
    apart = np.linalg.qr(apart - apart.mean(0))[0] + 1  # five that are not correlated, of one spread
    error = apart.std(0, ddof=1) / np.sqrt(12)
    # Of five independent numerators over one error: the 95 % quantile of the largest |t| of 11 degrees of freedom.
    simulated = draw.standard_normal((100_000, 5)) / np.sqrt(draw.chisquare(11, (100_000, 1)) / 11)
    bound = np.quantile(abs(simulated).max(1), 0.95)
    found = together(apart)
    np.testing.assert_allclose((found.high - found.low) / 2 / error, bound, rtol=0.02)
    np.testing.assert_array_equal(found.pseudo, apart)
    equal = together(np.repeat(apart[:, :1], 5, axis=1))
    np.testing.assert_allclose((equal.high - equal.low) / 2 / error[0], t.ppf(0.975, 11), rtol=0.02)


def test_together_is_not_widened_by_one_wild_column_nor_by_one_without_an_error_or_a_number():
    calm = np.random.default_rng(1).normal(1, 0.3, size=(12, 3))
    wild = np.where(np.arange(12) == 5, -1000.0, 0.001)[:, None]
    nothing, unknown = np.full((12, 1), 2.0) + 1e-17, np.full((12, 1), np.nan)
    alone, among = together(calm), together(np.hstack([calm, wild, nothing, unknown]))
    assert ((among.high - among.low)[:3] < 1.2 * (alone.high - alone.low)).all()
    assert among.low[4] == among.high[4] == 2
    assert np.isnan([among.low[5], among.high[5]]).all()
    assert np.isfinite(np.stack([among.low, among.high])[:, :5]).all()


def test_a_single_difference_has_its_own_interval(strengths):
    found, expected = together(strengths[0][:, :1]), jackknife((strengths[0][:, :1],))
    for one, other in zip(found[:4], expected[:4], strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)


def test_percentiles_are_those_of_the_statistic_in_every_resample(strengths):
    def step(mean):
        return np.round(mean.sum(-1)).astype(int)

    again = [step(strengths[0][chosen].mean(0)) for chosen in drawn()]
    found = percentiles((strengths[0],), step, WEIGHTS)
    assert found.value == step(strengths[0].mean(0))
    assert (found.low, found.high) == tuple(np.percentile(again, [2.5, 97.5], method="inverted_cdf"))
    assert found.low < found.high


@pytest.mark.parametrize("samples", [12, 300])
def test_pseudo_values_of_steps_vary_as_the_resamples_do_and_follow_the_samples(samples):
    """Also with more samples than resamples."""
    x, weights = np.random.default_rng(0).lognormal(size=(samples, 2)), resamples(samples, 100, 0)
    found = percentiles((x,), lambda mean: np.round(50 * mean), weights)
    again = np.round(50 * np.tensordot(weights, x, axes=1))
    np.testing.assert_allclose(found.pseudo.std(0) / np.sqrt(samples), again.std(0), rtol=1e-9)
    np.testing.assert_allclose(found.pseudo.mean(0), found.value, rtol=1e-9)
    assert np.corrcoef(found.pseudo[:, 0], x[:, 0])[0, 1] > (0.9 if samples == 12 else 0.3)


def test_of_a_mean_they_are_nearly_the_samples():
    x = np.random.default_rng(0).normal(size=(8, 1))
    found = percentiles((x,), np.asarray, resamples(8, 100_000, 0))
    np.testing.assert_allclose(found.pseudo, x, atol=0.05)


def test_a_step_that_no_resample_takes_has_equal_pseudo_values(strengths):
    found = percentiles((strengths[0],), lambda mean: np.ones(len(mean)), WEIGHTS)
    assert found.pseudo.tolist() == [1.0] * 12


@pytest.mark.parametrize("samples", [2, 4, 9])
def test_few_samples_have_the_jackknifes_interval(strengths, samples):
    x, weights = strengths[0][:samples], resamples(samples, 400, 0)
    found, expected = bootstrap_t(x, weights), jackknife((x,), log=True)
    for one, other in zip(found[:4], expected[:4], strict=True):
        np.testing.assert_array_equal(one, other)
    assert (bootstrap_t(strengths[0], WEIGHTS).low != jackknife((strengths[0],), log=True).low).all()


def test_one_wild_sample_gives_an_end_that_is_bounded(strengths):
    """Resamples without it lie far off, and vary little."""
    x = np.where(np.arange(12) == 5, 1000.0, 1 + 1e-2 * strengths[0][:, 0])[:, None]
    found = bootstrap_t(x, resamples(12, 4000, 0))
    error = x.std(0, ddof=1) / np.sqrt(12) / x.mean(0)
    bound = 3 * stats.t.ppf(0.975, 11)
    np.testing.assert_allclose(found.high, x.mean(0) * np.exp(bound * error), rtol=1e-9)
    assert 0 < found.low[0] < x.mean() < found.high[0]


def test_strength_of_a_single_sample_alone_has_no_interval():
    found = bootstrap_t(np.where(np.arange(12) == 5, 1.0, 0.0)[:, None], WEIGHTS)
    assert found.value == pytest.approx(1 / 12)
    assert np.isnan([found.low, found.high]).all()


@pytest.mark.parametrize("samples", [5, 12])
def test_a_column_without_a_reference_does_not_widen_the_others(strengths, samples):
    x = (strengths[0] - strengths[1])[:samples]
    expected, found = together(x), together(np.insert(x, 1, np.nan, axis=1))
    assert np.isnan([found.low[1], found.high[1]]).all()
    for one, other in zip(found[:3], expected[:3], strict=True):
        np.testing.assert_array_equal(np.delete(one, 1), other)


@pytest.mark.parametrize("interval", [
    lambda x: jackknife((x,)), lambda x: jackknife((x, x), quotient), lambda x: jackknife((x,), log=True),
    lambda x: bootstrap_t(x, resamples(5, 100, 0)), together,
    lambda x: percentiles((x,), np.asarray, resamples(5, 100, 0)),
])  # fmt: skip
def test_samples_that_agree_leave_no_doubt(interval):
    with np.errstate(all="raise"):
        found = interval(np.full((5, 2), 3.0))
    np.testing.assert_allclose((found.low, found.high), (found.value, found.value), rtol=1e-12)
    assert found.value[0] == pytest.approx(1) or found.value[0] == pytest.approx(3)


@pytest.mark.parametrize("interval", [
    lambda x: jackknife((x,)), lambda x: jackknife((x, x), quotient, log=True),
    lambda x: bootstrap_t(x, resamples(1, 100, 0)), together,
])  # fmt: skip
def test_a_single_sample_has_a_value_and_no_interval(interval):
    found = interval(np.array([[2.0, 3.0]]))
    assert np.isfinite(found.value).all()
    assert np.isnan([found.low, found.high]).all()


def test_quotients_by_zero_warn_of_nothing():
    with np.errstate(all="raise"):
        found = quotient(np.array([0.0, 1.0, 3.0]), np.array([0.0, 0.0, 2.0]))
    assert np.isnan(found[0])
    assert found[1:].tolist() == [np.inf, 1.5]


def test_a_quotient_that_is_infinite_whatever_is_left_out_has_an_infinite_interval():
    with np.errstate(all="raise"):
        found = jackknife((np.ones(5), np.zeros(5)), quotient, log=True)
    assert found[:3] == (np.inf, np.inf, np.inf)


def test_intervals_shrink_with_the_square_root_of_the_samples():
    def width(samples):
        found = jackknife((np.random.default_rng(0).normal(size=(samples, 200)),))
        return (found.high - found.low).mean()

    assert width(400) == pytest.approx(2 * 1.966 / 20, rel=0.02)
    assert width(25) / width(400) == pytest.approx(4 * 2.064 / 1.966, rel=0.05)
