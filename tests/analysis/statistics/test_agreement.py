"""Whether views agree beyond a common trend: the formula by hand, all exchanges, and simulated truth."""

from itertools import combinations, permutations
from math import factorial

import numpy as np
import pytest
from scipy.stats import kendalltau

from analysis.statistics import agreement as module
from analysis.statistics.agreement import exchanges, in_order, p_values, smallest_p

EPOCHS, TREND = 6, np.linspace(0, 10, 6)
ONE = np.array([[0, 1]])


@pytest.fixture
def draw():
    return np.random.default_rng(3)


def unrelated(draw, seeds, count=2, own=0.5):
    """Views with a strong trend that all of them share; each seed's own trajectory goes on from where it is."""
    return TREND + own * draw.normal(size=(count, seeds, EPOCHS)).cumsum(-1)


def of_family(count):
    return np.array([*combinations(range(count), 2)])


def test_t_is_compared_with_that_of_all_exchanges_of_trajectories(draw):
    views = draw.normal(size=(2, 5, 4)) + 3
    x, y = (view - view.mean(0) for view in views)
    every = np.array([(x * y[list(order)]).sum() for order in permutations(range(5))])
    z, p, adjusted = p_values(views, ONE, np.array([True]))
    assert z[0] == pytest.approx(every[0] / every.std())
    assert p[0] == pytest.approx((abs(every) >= abs(every[0]) - 1e-12).mean())
    assert adjusted[0] == p[0], "of a single pair"


def test_the_mean_over_seeds_does_not_count(draw):
    views = draw.normal(size=(2, 6, EPOCHS))
    other = views + draw.normal(size=(2, 1, EPOCHS))
    np.testing.assert_allclose(p_values(views, ONE, np.array([True])), p_values(other, ONE, np.array([True])))


def test_adjusted_is_by_the_largest_of_the_family_and_of_it_alone(draw):
    views, pairs = draw.normal(size=(6, 5, 3)), of_family(6)
    family = np.arange(len(pairs)) % 5 == 0
    z, p, adjusted = p_values(views, pairs, family)
    every = module.statistics(views, pairs)
    largest = abs(every[family]).max(0)
    expected = [(largest >= abs(each) - 1e-9).mean() for each in z]
    np.testing.assert_allclose(adjusted[family], np.array(expected)[family])
    assert np.isnan(adjusted[~family]).all()
    assert (adjusted < p_values(views, pairs, np.ones(len(pairs), bool))[2])[family].any()
    assert (adjusted[family] >= p[family]).all()


@pytest.mark.parametrize("seeds", [5, 7])
def test_views_that_share_only_a_trend_agree_in_one_of_twenty(draw, seeds):
    sets = 400  # a share of .05 has a standard error of .011
    found = [p_values(unrelated(draw, seeds), ONE, np.array([True]))[1][0] < 0.05 for _ in range(sets)]
    assert np.mean(found) <= 0.05 + 2 * 0.011
    assert np.mean(found) >= 0.01, "so that it would be seen"


def test_of_many_unrelated_views_hardly_ever_any_pair_agrees(draw):
    pairs = of_family(6)
    every = np.ones(len(pairs), bool)
    found = [p_values(unrelated(draw, 5, 6), pairs, every)[1:] for _ in range(300)]
    assert np.mean([adjusted.min() < 0.05 for _, adjusted in found]) <= 0.05 + 2 * 0.0126
    assert np.mean([p.min() < 0.05 for p, _ in found]) > 0.3, "one by one they would"


def test_views_that_share_what_seeds_have_beyond_the_trend_are_found(draw):
    pairs = of_family(6)
    found = []
    for _ in range(60):
        views = unrelated(draw, 6, 6)
        views[1] = TREND - 2 * (views[0] - TREND) + 0.3 * draw.normal(size=views[0].shape)  # against each other
        z, _, adjusted = p_values(views, pairs, np.ones(len(pairs), bool))
        found.append([adjusted[0] < 0.05, z[0] < 0, (adjusted[1:] < 0.05).any()])
    shared, against, others = np.mean(found, axis=0)
    assert shared > 0.8
    assert against > 0.98
    assert others < 0.15


def test_nothing_is_tested_with_fewer_than_five_seeds(draw):
    z, p, adjusted = p_values(unrelated(draw, 4), ONE, np.array([True]))
    assert np.isfinite(z).all()
    assert np.isnan([p, adjusted]).all()
    assert smallest_p(4) == 1 / 24
    assert len(exchanges(5)) == 120


def test_a_view_that_no_seed_changes_agrees_with_none(draw):
    views = np.stack([draw.normal(size=(5, EPOCHS)), np.tile(TREND, (5, 1)) * 0.1])
    z, p, adjusted = p_values(views, ONE, np.array([True]))
    assert np.isnan([*z, *p, *adjusted]).all()


def test_many_seeds_have_drawn_exchanges_with_their_own_first():
    found = exchanges(12)
    assert found.shape == (factorial(7), 12)
    assert found[0].tolist() == list(range(12))
    assert (np.sort(found, axis=1) == np.arange(12)).all()


def test_tau_within_and_across_seeds(draw):
    x, y = draw.normal(size=(2, 3, EPOCHS))
    taus = np.array([[kendalltau(a, b).statistic for b in y] for a in x])
    assert in_order(x, y) == pytest.approx((taus.diagonal().mean(), taus[~np.eye(3, dtype=bool)].mean()))
    assert np.isnan(in_order(x[:1], y[:1])[1])
