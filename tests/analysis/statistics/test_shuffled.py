import numpy as np
import pytest

from analysis.statistics.shuffled import over_epochs, permutations, permuted
from interactions.mobius import orders

SAMPLES, N = 6, 5


def test_each_order_of_each_sample_keeps_its_values():
    values, order = np.random.default_rng(0).normal(size=(SAMPLES, 2**N)), orders(N)
    for permutation in permutations(SAMPLES, N, 5, seed=0):
        other = permuted(values, permutation)
        for k in range(1, N):
            np.testing.assert_array_equal(np.sort(other[:, order == k]), np.sort(values[:, order == k]))
            assert (other[:, order == k] != values[:, order == k]).any()


def test_orders_0_and_n_are_exchanged_between_samples():
    values = np.random.default_rng(0).normal(size=(SAMPLES, 2**N))
    changed = np.zeros(2, dtype=bool)
    for permutation in permutations(SAMPLES, N, 5, seed=0):
        other = permuted(values, permutation)
        for single in (0, -1):
            np.testing.assert_array_equal(np.sort(other[:, single]), np.sort(values[:, single]))
            changed[single] |= (other[:, single] != values[:, single]).any()
    assert changed.all()


def test_is_a_permutation_drawn_anew_each_time_and_seeded():
    drawn = permutations(SAMPLES, N, 3, seed=0)
    for permutation in drawn:
        np.testing.assert_array_equal(np.sort(permutation, axis=None), np.arange(SAMPLES * 2**N))
    assert (drawn[0] != drawn[1]).any()
    assert (drawn[0] != permutations(SAMPLES, N, 1, seed=1)[0]).any()
    np.testing.assert_array_equal(drawn, permutations(SAMPLES, N, 3, seed=0))


def test_every_subset_takes_the_place_of_every_other_of_its_order_equally_often():
    column = permutations(3000, 3, 1, seed=0)[0] % 8
    for members in ([1, 2, 4], [3, 5, 6]):
        shares = np.array([[(column[:, place] == source).mean() for source in members] for place in members])
        np.testing.assert_allclose(shares, (1 - np.eye(3)) / 2, atol=5 * np.sqrt(1 / 4 / 3000))


def test_nothing_stays_in_its_place():
    """What stayed would draw the level to what is observed."""
    for permutation in permutations(SAMPLES, N, 5, seed=0):
        assert (permutation != np.arange(SAMPLES * 2**N).reshape(SAMPLES, -1)).all()


def test_one_variable_is_permuted_over_samples():
    permutation = permutations(50, 1, 1, seed=0)[0]
    assert (np.sort(permutation, axis=0) == np.arange(100).reshape(50, 2)).all()
    assert (permutation != np.arange(100).reshape(50, 2)).any(0).all()


def test_epochs_are_the_last_axis_and_the_level_is_the_mean_over_permutations():
    epochs, drawn = np.random.default_rng(0).normal(size=(3, SAMPLES, 2**N)), permutations(SAMPLES, N, 4, seed=0)

    def measure(other):
        return {"one": other[:, 1], "two": other[:, 2] ** 2}

    observed, level = over_epochs(measure, epochs, drawn)
    np.testing.assert_array_equal(observed["two"], epochs[:, :, 2].T ** 2)
    assert level["one"].shape == (SAMPLES, 3)
    for place, values in enumerate(epochs):
        expected = np.mean([permuted(values, permutation)[:, 2] ** 2 for permutation in drawn], axis=0)
        np.testing.assert_allclose(level["two"][:, place], expected, rtol=1e-12)
    assert over_epochs(measure, epochs, [])[1] == {}


def test_what_goes_wrong_in_a_measure_is_not_lost():
    def fails(other):
        return 1 / 0 if other is not values else {"one": other[:, 1]}

    values = np.zeros((SAMPLES, 2**N))
    with pytest.raises(ZeroDivisionError):
        over_epochs(fails, [values], permutations(SAMPLES, N, 2, seed=0))
