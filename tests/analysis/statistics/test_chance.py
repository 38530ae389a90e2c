import numpy as np
import pytest

from analysis.formulas.decomposition import decompose
from analysis.formulas.jaccard import jaccard
from analysis.formulas.ratio import learned, terms
from analysis.statistics.chance import over_epochs, permutations, permuted, under_chance
from interactions.mobius import orders

SAMPLES, N = 6, 5


def test_each_order_of_each_sample_keeps_its_interactions():
    strength, order = np.random.default_rng(0).normal(size=(SAMPLES, 2**N)), orders(N)
    for permutation in permutations(SAMPLES, N, 5, seed=0):
        other = permuted(strength, permutation)
        for k in range(1, N):
            np.testing.assert_array_equal(np.sort(other[:, order == k]), np.sort(strength[:, order == k]))
            assert (other[:, order == k] != strength[:, order == k]).any()


def test_orders_0_and_n_are_exchanged_between_samples():
    strength = np.random.default_rng(0).normal(size=(SAMPLES, 2**N))
    changed = np.zeros(2, dtype=bool)
    for permutation in permutations(SAMPLES, N, 5, seed=0):
        other = permuted(strength, permutation)
        for single in (0, -1):
            np.testing.assert_array_equal(np.sort(other[:, single]), np.sort(strength[:, single]))
            changed[single] |= (other[:, single] != strength[:, single]).any()
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
    """What stayed would draw the chance level to what is observed."""
    for permutation in permutations(SAMPLES, N, 5, seed=0):
        assert (permutation != np.arange(SAMPLES * 2**N).reshape(SAMPLES, -1)).all()


def test_one_variable_is_permuted_over_samples():
    permutation = permutations(50, 1, 1, seed=0)[0]
    assert (np.sort(permutation, axis=0) == np.arange(100).reshape(50, 2)).all()
    assert (permutation != np.arange(100).reshape(50, 2)).any(0).all()


def test_each_permutation_is_measured_in_their_order():
    strength, drawn = np.random.default_rng(0).normal(size=(SAMPLES, 2**N)), permutations(SAMPLES, N, 20, seed=0)
    found = under_chance(lambda other: {"one": other[:, 1]}, strength, drawn)
    for measured, permutation in zip(found["chance"]["one"], drawn, strict=True):
        np.testing.assert_array_equal(measured, strength.reshape(-1)[permutation[:, 1]])
    assert under_chance(lambda other: {"one": other}, strength, []) == {}


def test_epochs_are_the_last_axis():
    epochs, drawn = np.random.default_rng(0).normal(size=(3, SAMPLES, 2**N)), permutations(SAMPLES, N, 4, seed=0)

    def measure(other):
        return {"one": other[:, 1], "two": other[:, 2]}

    observed, references = over_epochs(measure, epochs, drawn)
    np.testing.assert_array_equal(observed["two"], epochs[:, :, 2].T)
    assert references["chance"]["one"].shape == (4, SAMPLES, 3)
    for place, strength in enumerate(epochs):
        alone = under_chance(measure, strength, drawn)["chance"]
        np.testing.assert_array_equal(references["chance"]["one"][:, :, place], alone["one"])
    assert over_epochs(measure, epochs, [])[1] == {}


def test_what_goes_wrong_in_a_measure_is_not_lost():
    with pytest.raises(ZeroDivisionError):
        under_chance(lambda other: 1 / 0, np.zeros((SAMPLES, 2**N)), permutations(SAMPLES, N, 2, seed=0))


def quantities(pretrain, finetune, scratch):
    """What the paper reports, over all samples and subsets."""
    preserved, discarded, _ = decompose(pretrain, finetune)
    ratios = terms(preserved, learned(preserved, pretrain, scratch))
    return {
        "preserved share": preserved.sum() / abs(pretrain).sum(),
        "discarded / preserved": discarded.sum() / preserved.sum(),
        "Jaccard": jaccard(pretrain, finetune).mean(),
        **{name: above.mean() / below.mean() for name, (above, below) in ratios.items()},
    }


# Of independent, equal-scale Gaussians; the ratios by numerical integration over the half-normal density.
BY_CHANCE = {
    "preserved share": 1 - 1 / np.sqrt(2),
    "discarded / preserved": 1 + np.sqrt(2),
    "Jaccard": (np.sqrt(2) - 1) ** 2,
    "paper": 0.2060,
    "positive": 0.4121,
    "weighted": 0.3583,
}


def test_models_that_share_nothing_meet_the_closed_forms():
    models = np.random.default_rng(0).normal(size=(3, 200, 2**10))
    assert quantities(*models) == pytest.approx(BY_CHANCE, rel=0.01)


def test_permuting_one_of_two_identical_models_leaves_nothing_shared():
    samples, n = 300, 8
    model = np.random.default_rng(0).normal(size=(samples, 2**n))
    assert quantities(model, model, model)["preserved share"] == 1
    draws = [quantities(model, permuted(model, p), model) for p in permutations(samples, n, 5, seed=0)]
    for quantity in ("preserved share", "Jaccard"):
        assert np.mean([draw[quantity] for draw in draws]) == pytest.approx(BY_CHANCE[quantity], abs=0.003)
