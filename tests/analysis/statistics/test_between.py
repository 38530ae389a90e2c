"""What several runs say together, against the formulas of a two-way analysis of variance by hand."""

import numpy as np
import pytest
from scipy import stats

from analysis.statistics.between import holm, of_samples, on_scale, spread

RUNS, SAMPLES = 4, 6


@pytest.fixture
def pseudo():
    """Runs, samples and both together vary. [runs, samples, 2]"""
    draw = np.random.default_rng(0)
    return (draw.normal(size=(RUNS, 1, 2)) + 2 * draw.normal(size=(1, SAMPLES, 2))
            + draw.normal(size=(RUNS, SAMPLES, 2)))  # fmt: skip


def student(count, level=0.975):
    return stats.t.ppf(level, count - 1)


def test_runs_on_their_own_samples_have_students_interval(pseudo):
    theta = pseudo.mean(1)
    found, expected = spread(theta), stats.ttest_1samp(theta, 0).confidence_interval(0.95)
    np.testing.assert_allclose(found.mean, theta.mean(0))
    np.testing.assert_allclose((found.mean - found.half(), found.mean + found.half()), expected, rtol=1e-12)
    np.testing.assert_allclose(found.p_value(), stats.ttest_1samp(theta, 0).pvalue, rtol=1e-6)


def test_runs_on_the_same_samples_add_what_samples_vary_beyond_the_rest(pseudo):
    theta = pseudo.mean(1)
    found = spread(theta, pseudo)
    for quantity in range(2):
        u, half = pseudo[:, :, quantity], []
        of_runs = SAMPLES * sum((u[r].mean() - u.mean()) ** 2 for r in range(RUNS)) / (RUNS - 1)
        of_samples = RUNS * sum((u[:, s].mean() - u.mean()) ** 2 for s in range(SAMPLES)) / (SAMPLES - 1)
        rest = sum((u[r, s] - u[r].mean() - u[:, s].mean() + u.mean()) ** 2
                   for r in range(RUNS) for s in range(SAMPLES)) / ((RUNS - 1) * (SAMPLES - 1))  # fmt: skip
        for level in (0.975, 0.9):
            squared = student(RUNS, level) ** 2 * of_runs
            squared += student(SAMPLES, level) ** 2 * max(of_samples - rest, 0)
            half.append(np.sqrt(squared / (RUNS * SAMPLES)))
        np.testing.assert_allclose([found.half()[quantity], found.half(0.9)[quantity]], half, rtol=1e-12)
        assert of_samples > rest


def test_runs_that_are_nearer_to_each_other_than_they_are_known_vary_by_the_rest(pseudo):
    same = pseudo - pseudo.mean(1, keepdims=True)  # by luck, all runs have the same mean
    rest = np.square(same - same.mean(0)).sum((0, 1)) / ((RUNS - 1) * (SAMPLES - 1))
    of_samples = RUNS * np.square(same.mean(0)).sum(0) / (SAMPLES - 1)
    squared = student(RUNS) ** 2 * rest + student(SAMPLES) ** 2 * np.maximum(of_samples - rest, 0)
    np.testing.assert_allclose(spread(same.mean(1), same).half(), np.sqrt(squared / (RUNS * SAMPLES)), rtol=1e-12)


def test_samples_that_vary_less_than_the_rest_add_nothing(pseudo):
    balanced = pseudo - pseudo.mean(0, keepdims=True)
    balanced += np.arange(RUNS)[:, None, None]
    found = spread(balanced.mean(1), balanced)
    np.testing.assert_allclose(found.half(), spread(balanced.mean(1)).half(), rtol=1e-12)


def test_equal_runs_leave_no_doubt_but_that_of_their_samples(pseudo):
    same = np.repeat(pseudo[:1], RUNS, axis=0)
    np.testing.assert_array_equal(spread(same.mean(1)).half(), 0)
    one = student(SAMPLES) * same[0].std(0, ddof=1) / np.sqrt(SAMPLES)
    np.testing.assert_allclose(spread(same.mean(1), same).half(), one, rtol=1e-12)


def test_equal_runs_on_samples_of_their_own_vary_as_their_samples_at_least(pseudo):
    sets = [pseudo[:1], pseudo[1:2, :4], pseudo[2:], None, pseudo[:1, :1]]
    single = [pseudo[0].var(0, ddof=1) / SAMPLES, pseudo[1, :4].var(0, ddof=1) / 4,
              pseudo[2:].mean(0).var(0, ddof=1) / SAMPLES]  # fmt: skip
    least = of_samples(sets)
    np.testing.assert_allclose(least, np.mean(single, axis=0))
    np.testing.assert_allclose(spread(np.ones((2, 2)), least=least).half(), student(2) * np.sqrt(least / 2))
    assert of_samples([None, pseudo[:1, :1]]) == 0
    part = pseudo[:1].copy()
    part[0, 0, 1] = np.nan
    np.testing.assert_allclose(of_samples([pseudo[1:2], part])[1], of_samples([pseudo[1:2]])[1])


@pytest.mark.parametrize("trainings", [0, 30])
def test_intervals_of_runs_on_their_own_samples_contain_the_truth(trainings):
    draw, sets = np.random.default_rng(3), 4000
    for runs in (2, 4):
        own = trainings * draw.normal(size=(runs, 1, sets)) + draw.normal(size=(runs, SAMPLES, sets))
        found = spread(own.mean(1), least=of_samples([each[None] for each in own]))
        inside = abs(found.mean) < found.half()
        assert inside.mean() > 0.94
        assert not trainings or inside.mean() < 0.97  # runs that vary much are not made to vary more


def test_the_p_value_is_that_of_the_interval_that_ends_at_0(pseudo):
    found = spread(pseudo.mean(1) + 1, pseudo + 1)
    p = found.p_value()
    np.testing.assert_allclose(found.half(1 - p / 2), abs(found.mean), rtol=1e-6)
    assert ((p > 0) & (p < 1)).all()
    assert ((p < 0.05) == (abs(found.mean) > found.half())).all()


def test_p_values_where_nothing_or_nothing_else_is():
    theta = np.array([[0.0, 1.0, np.nan, -1.0], [0.0, 1.0, 1.0, 1.0]])
    p = spread(theta).p_value()
    assert p[0] == 1  # equal runs of 0: nothing speaks for another value
    assert p[1] == pytest.approx(0, abs=1e-11)
    assert np.isnan(p[2])
    assert p[3] == 1


@pytest.mark.parametrize("runs", [2, 3, 5, 10])
def test_95_of_100_intervals_over_runs_contain_the_truth(runs):
    found = spread(np.random.default_rng(1).normal(0.3, 2.0, size=(runs, 20_000)))
    inside = abs(found.mean - 0.3) < found.half()
    assert inside.mean() == pytest.approx(0.95, abs=0.006)  # 4 standard errors


def test_holm_by_hand():
    p = np.array([0.01, 0.04, 0.03, 0.005, np.nan])  # times 4, 3, 2, 1 in their order, never falling
    np.testing.assert_allclose(holm(p), [0.03, 0.06, 0.06, 0.02, np.nan])
    np.testing.assert_allclose(holm(np.array([0.6, 0.5])), [1, 1])
    np.testing.assert_allclose(holm(np.array([0.02])), [0.02])
    assert np.isnan(holm(np.full(3, np.nan))).all()


def of(theta, pseudo):
    """Numbers as `on_scale` takes them: theta and pseudo-values of each run."""
    return np.concatenate([theta[:, None], pseudo], axis=1)


def nested(numbers):
    return spread(numbers[:, :1])


def crossed(numbers):
    return spread(numbers[:, :1], numbers[:, 1:, None])


@pytest.fixture
def levels():
    """Value, floor and ceiling of each run and sample: .6 between .2 and 1."""
    draw = np.random.default_rng(2)
    each = np.array([0.6, 0.2, 1.0])[:, None, None] + 0.05 * draw.normal(size=(3, RUNS, SAMPLES))
    return [of(part.mean(1), part) for part in each]


@pytest.mark.parametrize("spread_of", [nested, crossed])
def test_on_the_scale_the_ends_are_where_the_difference_is_just_clear_of_0(levels, spread_of):
    value, floor, ceiling = levels
    middle, low, high = on_scale(value, floor, ceiling, spread_of)
    means = [part[:, 0].mean() for part in levels]
    assert middle == pytest.approx((means[0] - means[1]) / (means[2] - means[1]))
    assert low < middle < high
    for end in (low, high):
        found = spread_of(value - floor - end * (ceiling - floor))
        assert abs(found.mean[0]) == pytest.approx(found.half()[0], rel=1e-6)


@pytest.mark.parametrize("spread_of", [nested, crossed])
def test_floor_and_ceiling_themselves_are_exactly_0_and_1(levels, spread_of):
    _, floor, ceiling = levels
    assert on_scale(floor, floor, ceiling, spread_of) == (0, 0, 0)
    assert on_scale(ceiling, floor, ceiling, spread_of) == (1, 1, 1)


def test_without_a_clear_range_there_is_no_scale(levels):
    value, floor, _ = levels
    for ceiling in (floor, 0.9 * floor, floor + np.linspace(-1, 1.2, RUNS)[:, None]):
        assert np.isnan(on_scale(value, floor, ceiling, nested)).all()
