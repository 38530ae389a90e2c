"""Curves over epochs: by their definitions, and how often claims are met where nothing is (benchmarks/epochs.py)."""

from itertools import permutations

import numpy as np
import pytest
from scipy.stats import kendalltau, pearsonr, t

from analysis.statistics import curves as module
from analysis.statistics.between import spread
from analysis.statistics.curves import (
    best,
    fall,
    fall_weights,
    interval,
    pearson,
    permutation_p,
    regret,
    step,
    tau,
    width,
)
from benchmarks import epochs

AT = np.array([1.0, 2, 5, 10])


@pytest.fixture
def draw():
    return np.random.default_rng(0)


def test_tau_is_kendalls_tau_b_also_with_ties(draw):
    one, other = draw.integers(0, 4, size=(2, 30, 6)).astype(float)
    expected = [kendalltau(*pair).statistic for pair in zip(one, other, strict=True)]
    np.testing.assert_allclose(tau(one, other), expected)
    assert np.isnan(tau(np.ones(5), np.arange(5.0)))


def test_pearson_is_pearsons_r(draw):
    one, other = draw.normal(size=(2, 20, 6))
    np.testing.assert_allclose(pearson(one, other), [pearsonr(*p)[0] for p in zip(one, other, strict=True)])
    assert np.isnan(pearson(np.full((1, 6), 0.1), one[:1])).all()


def test_regret_is_what_the_first_of_a_ranking_lacks():
    accuracy = np.array([[0.5, 0.9, 0.7]] * 4)
    score = np.array([[0, 1, 0], [0, 0, 1], [1, 0, 0], [0, 1, 1]], dtype=float)
    assert regret(score, accuracy) == pytest.approx([0, 0.2, 0.4, 0.1]), "of equal scores the mean"


def test_the_best_epoch_is_in_the_middle_of_equally_good_ones():
    found = best(np.array([[1.0, 3, 2, 0], [1, 3, 2, 3], [2, 2, 2, 2]]), AT)
    assert found[:2].tolist() == [2, 6]
    assert np.isnan(found[2])


def test_a_best_epoch_is_known_up_to_the_middle_between_its_neighbours():
    assert width(np.array([[0.0, 0, 1, 0]]), AT) == (10 - 2) / 2
    assert width(np.array([[0.0, 0, 0, 1]]), AT) == (10 - 5) / 2
    assert width(np.array([[0.0, 0, 1, 0], [0, 0, 0, 1]]), AT) == pytest.approx(np.sqrt((16 + 6.25) / 2))


def test_the_fall_is_measured_at_the_epoch_that_the_others_find_best():
    curves = np.array([[5.0, 0, 0, 1], [0, 3, 0, 2], [0, 4, 0, 1]])
    assert fall(curves).tolist() == [0 - 1, 0 - 2, 0 - 1], (
        "the first curve has its peak at another epoch, and the others that"
    )
    assert fall(curves[1:]).tolist() == [1, 3]
    assert np.isnan(fall(curves[:1])).all()


def test_where_the_others_tie_the_fall_is_from_their_mean():
    curves = np.array([[3.0, 1, 0, 0], [2, 2, 0, 0], [0.1, 0.1, 0, 0]])
    assert fall(curves) == pytest.approx([(3 + 1) / 2, 2, 0.1]), "the others of the first: 2.1, 2.1, 0, 0"
    curves = np.array([[5.0, 1, 2, 3], [0, 1, 2, 3]])
    assert fall_weights(curves).tolist() == [[0, 0, 0, 0], [1, 0, 0, -1]], "the last is best: nothing to fall from"


def test_replicates_that_agree_by_luck_are_known_as_well_as_their_samples_tell(draw):
    values, samples = np.array([0.088, 0.088]), draw.normal(0.088, 0.5, size=(2, 400))
    assert interval(values)[1:] == (0.088, 0.088)
    half = t.ppf(0.975, 1) * np.sqrt(samples.var(1, ddof=1).mean() / 400 / 2)
    assert interval(values, pseudo=samples) == pytest.approx((0.088, 0.088 - half, 0.088 + half))
    of = spread(values[:, None], samples[..., None])
    assert interval(values, pseudo=samples, crossed=True)[2] == pytest.approx(0.088 + of.half()[0])
    apart = np.array([0.0, 0.4])
    assert interval(apart, pseudo=samples) == interval(apart), "they differ by more"
    short = [samples[0], samples[1, :100]]
    half = t.ppf(0.975, 1) * np.sqrt(np.mean([each.var(ddof=1) / len(each) for each in short]) / 2)
    assert interval(values, pseudo=short)[2] == pytest.approx(0.088 + half)


def test_the_interval_is_students_t_but_not_narrower_than_rounding():
    values = np.array([0.1, 0.2, 0.6, np.nan])
    half = t.ppf(0.975, 2) * np.std(values[:3], ddof=1) / np.sqrt(3)
    assert interval(values) == pytest.approx((0.3, 0.3 - half, 0.3 + half))
    assert interval(values, 0.1) == interval(values), "they differ by more"
    half = t.ppf(0.975, 2) * (0.2 / np.sqrt(12)) / np.sqrt(3)
    assert interval(np.full(3, 0.3), 0.2) == pytest.approx((0.3, 0.3 - half, 0.3 + half))
    assert interval(np.full(3, 0.3), 2.0, (-1, 1))[1:] == (-1, 1)
    assert interval(values[2:])[0] == 0.6
    assert np.isnan(interval(values[2:])[1:]).all()
    assert np.isnan(interval(values[3:])).all()


def test_a_step_of_tau_is_one_pair_of_epochs():
    orders = np.array(list(permutations(range(4)))).astype(float)
    values = np.unique(tau(orders, np.broadcast_to(np.arange(4.0), orders.shape)).round(9))
    np.testing.assert_allclose(np.diff(values), step(4))


@pytest.mark.parametrize("ties", [False, True])
def test_p_counts_all_orders_of_the_epochs_the_same_in_all_replicates(draw, ties):
    score, accuracy = draw.normal(size=(2, 3, 4))
    if ties:
        score = score.round()
    own = abs(np.nanmean(tau(score, accuracy)))
    means = [abs(np.nanmean(tau(score[:, order], accuracy))) for order in map(list, permutations(range(4)))]
    assert permutation_p(score, accuracy) == pytest.approx(np.mean(np.array(means) >= own - 1e-12))


def test_p_of_too_many_orders_is_of_drawn_ones(draw, monkeypatch):
    score = draw.normal(size=(2, 6))
    accuracy = score + draw.normal(scale=0.7, size=(2, 6))
    exact = permutation_p(score, accuracy)
    monkeypatch.setattr(module, "DRAWS", 700)
    assert 0 < exact < 0.3
    assert permutation_p(score, accuracy) == pytest.approx(exact, abs=0.05)
    assert permutation_p(score, score) >= 1 / 701, "the given order counts"


def test_a_constant_replicate_has_no_say_in_p(draw):
    score, accuracy = draw.normal(size=(2, 3, 4))
    score[1] = 7
    assert permutation_p(score, accuracy) == permutation_p(score[[0, 2]], accuracy[[0, 2]])
    assert np.isnan(permutation_p(np.ones((2, 4)), accuracy[:2]))


@pytest.fixture(scope="module")
def rates():
    """400 sets: a share of .05 has a standard error of .011."""
    found = epochs.rates(seeds=(3, 5), sets=400)
    return found.set_index(["claim", "how", "world"])


def test_a_plateau_falls_only_if_each_seed_chooses_its_own_epoch(rates):
    claimed = rates.xs(epochs.FALLS).xs("plateau", level="world")
    assert claimed.loc["epoch from the other seeds"].max() <= 5 + 2 * 1.1
    assert claimed.loc["epoch of the same seed", 5] > 40, "so that the test would see it"


def test_a_fall_that_is_there_is_found(rates):
    found = rates.loc[(epochs.FALLS, "epoch from the other seeds", "falls")]
    assert found[3] > 35
    assert found[5] > 80


def test_nothing_ranks_a_plateau_and_p_is_not_taken_in_by_unrelated_epochs(rates):
    ranks = rates.xs(epochs.RANKS)
    assert ranks.xs("plateau", level="world").max(axis=None) <= 2.5 + 3 * 0.8
    assert ranks.loc[("permutation p below 0.05", epochs.SHARED)].max() <= 2.5 + 3 * 0.8
    assert ranks.loc[(epochs.BY_SEEDS, epochs.SHARED), 5] > 15, "seeds alone are"
