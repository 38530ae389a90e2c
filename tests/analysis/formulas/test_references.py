"""The references against their definitions, by loops over subsets and samples."""

import numpy as np
import pytest

from analysis.formulas.references import by_placement, by_sign, matched, shared, without_strength
from interactions.mobius import orders

N, SAMPLES = 4, 6


@pytest.fixture(params=["with zeros", "without"])
def models(request):
    """Whole numbers, so that there are ties."""
    draw = np.random.default_rng(0)
    if request.param == "with zeros":
        return draw.integers(-3, 4, size=(2, SAMPLES, 2**N)).astype(float)
    return draw.integers(1, 4, size=(2, SAMPLES, 2**N)) * draw.choice([-1.0, 1.0], size=(2, SAMPLES, 2**N))


def common(a, b):
    return min(abs(a), abs(b)) if a * b > 0 else 0.0


def others(sample, subset, order, samples=SAMPLES):
    """The places that a subset may be exchanged with: of its order, or in other samples where it is the only one."""
    same = [at for at in range(len(order)) if order[at] == order[subset] and at != subset]
    return [(sample, at) for at in same] or [(other, subset) for other in range(samples) if other != sample]


def agreeing(b, sign, places):
    """The share of places whose effect has this sign, 1/2 if none has an effect."""
    signs = [np.sign(b[place]) for place in places if b[place] != 0]
    return np.mean([each == sign for each in signs]) if signs else 0.5


def sign_by_loop(a, b, order):
    found = np.zeros_like(a)
    for sample, subset in np.ndindex(a.shape):
        share = agreeing(b, np.sign(a[sample, subset]), others(sample, subset, order, len(a)))
        found[sample, subset] = min(abs(a[sample, subset]), abs(b[sample, subset])) * share
    return found


def placement_by_loop(a, b, order):
    found = sign_by_loop(a, b, order)
    for sample, subset in np.ndindex(a.shape):
        places = others(sample, subset, order, len(a))
        if all(other == sample for other, _ in places) and places:  # orders 0 and n are as under sign
            found[sample, subset] = np.mean([common(a[sample, subset], b[place]) for place in places])
    return found


@pytest.mark.parametrize("first", [0, 1], ids=["all subsets", "without the empty set"])
def test_placement_meets_every_other_subset_of_the_order(models, first):
    (a, b), order = models[:, :, first:], orders(N)[first:]
    np.testing.assert_allclose(by_placement(a, b, order), placement_by_loop(a, b, order), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("first", [0, 1], ids=["all subsets", "without the empty set"])
def test_under_sign_effects_agree_as_often_as_those_of_other_subsets(models, first):
    (a, b), order = models[:, :, first:], orders(N)[first:]
    np.testing.assert_allclose(by_sign(a, b, order), sign_by_loop(a, b, order), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("by", [by_placement, by_sign])
def test_orders_0_and_n_meet_other_samples(models, by):
    a, b = abs(models)
    b[0] *= -1  # of all samples only the first one disagrees
    found = by(a, b, orders(N))
    for single in (0, -1):
        if (b[:, single] == 0).any() or (a[:, single] == 0).any():
            continue
        smaller = np.minimum(abs(a), abs(b))[:, single]
        np.testing.assert_allclose(found[:, single], smaller * np.where(np.arange(SAMPLES) == 0, 1, 1 - 1 / 5))


@pytest.mark.parametrize(("by", "loop"), [(by_placement, placement_by_loop), (by_sign, sign_by_loop)])
def test_a_single_sample_has_no_other_one(models, by, loop):
    a, b = models[:, :1]
    found = by(a, b, orders(N))
    np.testing.assert_allclose(found, loop(a, b, orders(N)), rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(found[:, [0, -1]], np.minimum(abs(a), abs(b))[:, [0, -1]] / 2)


def test_the_example_of_the_module():
    a, b, order = np.array([[3.0, 1.0]]), np.array([[2.0, -4.0]]), np.array([1, 1])
    assert shared(a, b).tolist() == [[2, 0]]
    assert by_placement(a, b, order).tolist() == [[0, 1]]
    assert by_sign(a, b, order).tolist() == [[0, 1]]


def test_interactions_that_are_all_zero_share_nothing_under_any_reference(models):
    nothing = np.zeros_like(models[0])
    for by in (by_placement, by_sign):
        for pair in ((models[0], nothing), (nothing, models[0]), (nothing, nothing)):
            assert (by(*pair, orders(N)) == 0).all()


def test_models_that_share_nothing_meet_the_closed_form():
    """Independent Gaussians of one scale share (1 - 1 / sqrt 2) of their strength."""
    a, b = np.random.default_rng(0).normal(size=(2, 300, 2**7))
    for level in (shared(a, b), by_placement(a, b, orders(7)), by_sign(a, b, orders(7))):
        assert level.sum() / abs(a).sum() == pytest.approx(1 - 1 / np.sqrt(2), rel=0.02)


def test_a_model_that_is_matched_has_the_strength_of_the_other_per_sample_and_order(models):
    (other, model), order = models, orders(N)
    other[2, order == 2] = 0
    found = matched(other, model, order)
    for sample, size in np.ndindex(SAMPLES, N + 1):
        of = order == size
        has, wanted = abs(other[sample, of]).sum(), abs(model[sample, of]).sum()
        expected = other[sample, of] * (wanted / has) if has else np.zeros(of.sum())
        np.testing.assert_allclose(found[sample, of], expected, rtol=1e-12)
    np.testing.assert_array_equal(matched(model, model, order), model)


def test_what_cannot_be_matched_is_told(models):
    (other, model), order = models, orders(N)
    other[2, order == 2], model[3, order == 3] = 0, 0
    found = without_strength(other, model, order)
    for sample, size in np.ndindex(SAMPLES, N + 1):
        of = order == size
        assert found[sample, size] == ((other[sample, of] == 0).all() and (model[sample, of] != 0).any())
    assert found[2, 2]
    assert not found[3, 3]
