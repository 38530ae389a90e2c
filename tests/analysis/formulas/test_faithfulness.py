import numpy as np
import pytest

from analysis.formulas.faithfulness import faithfulness, rebuilt, salient
from analysis.statistics.shuffled import permutations, permuted
from interactions.mobius import interactions, values

N = 6


@pytest.fixture
def v():
    return np.random.default_rng(0).normal(size=(4, 2**N))


def test_salient_is_more_than_tau_of_the_strongest_of_its_sample():
    strength = np.array([[-100.0, 5.0, 5.01, -5.01, 4.99, 0, 0, 0], [1.0, 0.05, 0.06, -0.06, 0.04, -1, 0, 0]])
    expected = [
        [True, False, True, True, False, False, False, False],
        [True, False, True, True, False, True, False, False],
    ]
    assert salient(strength, 0.05).tolist() == expected


def test_nothing_is_salient_where_there_is_nothing():
    assert not salient(np.zeros((2, 8)), 0.05).any()


def test_all_interactions_together_rebuild_everything(v):
    np.testing.assert_allclose(rebuilt(interactions(v), v), 1, rtol=0, atol=1e-12)


@pytest.mark.parametrize("tau", [0.05, 0.3, 0.7])
def test_equals_the_sum_over_salient_subsets_by_brute_force(v, tau):
    strength = interactions(v)
    shares, fits = faithfulness(v, tau)
    for sample, (share, found) in enumerate(zip(shares, fits, strict=True)):
        chosen = np.flatnonzero(abs(strength[sample]) > tau * abs(strength[sample]).max())
        assert 0 < len(chosen) < 2**N
        assert share == len(chosen) / 2**N
        sums = [sum(strength[sample, s] for s in chosen if s & ~t == 0) for t in range(2**N)]
        expected = 1 - ((v[sample] - sums) ** 2).sum() / ((v[sample] - v[sample].mean()) ** 2).sum()
        assert found == pytest.approx(expected, rel=1e-10)


def test_a_sparse_game_is_rebuilt_from_few():
    strength = np.zeros((1, 2**10))
    strength[0, [0, 3, 48, 129, 1023]] = 5, -2, 3, 1, 0.5
    v = values(strength)
    share, fit = faithfulness(v)
    assert share[0] == 5 / 2**10
    assert fit[0] == pytest.approx(1, abs=1e-12)


def test_a_constant_is_rebuilt_by_the_empty_set_and_zero_by_nothing():
    v = np.array([[3.0] * 8, [0.0] * 8])
    with np.errstate(all="raise"):
        share, fit = faithfulness(v)
    assert share.tolist() == [1 / 8, 0]
    assert fit.tolist() == [1, 1]


def test_a_sparse_game_whose_values_are_shuffled_is_not_sparse():
    strength = np.zeros((5, 2**8))
    strength[:, [1, 6, 40, 131]] = 3, -2, 4, 5
    v = values(strength)
    share, fit = faithfulness(permuted(v, permutations(5, 8, 1, seed=0)[0]))
    assert share.min() > 10 * 4 / 2**8
    assert (fit != 1).all()
