"""By brute force, from the definition in words."""

import numpy as np
import pytest

from analysis.formulas.decomposition import decompose
from analysis.formulas.knockout import flips, groups, knockout, moved
from analysis.formulas.ratio import learned
from interactions.mobius import orders, values

N = 4
ORDER = orders(N)


@pytest.fixture
def models():
    """Interactions of three models that share a part: [6, 16] each; some are exactly 0."""
    draw = np.random.default_rng(0)
    common = draw.normal(size=(6, 2**N))
    found = [common + draw.normal(size=common.shape) for _ in range(3)]
    found[1][:, [3, 8]] = 0
    return found


def parts(pretrain, finetune, scratch):
    preserved = decompose(pretrain, finetune).preserved
    return preserved, learned(preserved, pretrain, scratch)


def test_the_parts_are_the_whole_answer(models):
    found, v = knockout(models[1], *parts(*models), ORDER), values(models[1])
    np.testing.assert_allclose(found.taken + found.shared + found.new, v[:, -1] - v[:, 0])


def test_what_is_taken_out_by_its_definition(models):
    found = knockout(models[1], *parts(*models), ORDER)
    for sample, (a, b, c) in enumerate(zip(*models, strict=True)):
        total = 0.0
        for subset in range(1, 2**N):
            preserved = min(abs(a[subset]), abs(b[subset])) if a[subset] * b[subset] > 0 else 0.0
            by_scratch = min(preserved, abs(c[subset])) if a[subset] * c[subset] > 0 else 0.0
            total += np.sign(b[subset]) * (preserved - by_scratch)
        assert found.taken[sample] == pytest.approx(total)


def test_elsewhere_is_the_mean_over_all_other_subsets_of_the_order(models):
    finetune, (preserved, shared) = models[1], parts(*models)
    found = knockout(finetune, preserved, shared, ORDER)
    for sample in range(len(finetune)):
        total = 0.0
        for subset in range(1, 2**N):
            others = [other for other in range(2**N) if ORDER[other] == ORDER[subset] and other != subset] or [subset]
            strengths = [preserved[sample, other] - shared[sample, other] for other in others]
            capped = np.minimum(strengths, abs(finetune[sample, subset]))
            total += np.sign(finetune[sample, subset]) * capped.mean()
        assert found.elsewhere[sample] == pytest.approx(total)


def test_elsewhere_is_the_mean_over_cyclic_moves():
    """In each the strengths of an order move on by as many places, so that none stays: the same mean, by moving."""
    draw = np.random.default_rng(1)
    lacking, strength = draw.exponential(size=(2, 7))
    moves = [np.minimum(np.roll(lacking, shift), strength) for shift in range(1, 7)]
    np.testing.assert_allclose(moved(lacking, strength), np.mean(moves, axis=0))


def test_ties_and_zeros():
    lacking, strength = np.array([0.0, 2.0, 2.0, 1.0]), np.array([2.0, 0.0, 1.0, 5.0])
    np.testing.assert_allclose(moved(lacking, strength), [5 / 3, 0, 2 / 3, 4 / 3])
    np.testing.assert_allclose(moved(np.array([3.0]), np.array([2.0])), [2.0])


def test_nothing_is_taken_out_where_scratch_has_it_all(models):
    pretrain, finetune, _ = models
    found = knockout(finetune, *parts(pretrain, finetune, 10 * pretrain), ORDER)
    np.testing.assert_array_equal(found.taken, 0)
    np.testing.assert_array_equal(found.elsewhere, 0)


def test_knowledge_in_its_place_counts_for_more_than_elsewhere():
    """If strengths have nothing to do with places, E and its reference are the same on average; if what is preserved
    lies where the model is strong, E is more."""
    draw = np.random.default_rng(2)
    finetune = draw.normal(size=(3000, 2**N)) + 0.5
    unrelated = np.minimum(draw.exponential(size=finetune.shape), 1e-3)  # too small to be capped
    found = knockout(finetune, unrelated, np.zeros_like(unrelated), ORDER)
    difference = found.taken - found.elsewhere
    assert abs(difference.mean()) < 4 * difference.std() / np.sqrt(3000)
    effects = np.where(finetune > 0, finetune, 0)  # only what speaks for the class
    found = knockout(finetune, effects, np.zeros_like(effects), ORDER)
    difference = found.taken - found.elsewhere
    assert difference.mean() > 10 * difference.std() / np.sqrt(3000)


def test_flips():
    np.testing.assert_array_equal(flips(np.array([1.0, 1.0, -1.0, 0.5]), np.array([2.0, 0.5, 3.0, 0.5])), [1, 0, 0, 0])


def test_groups_are_as_large_as_each_other_and_no_larger_than_asked():
    finetune = np.array([1, 1, 0, 1, 1, 1, 1, 1, 0])
    scratch = np.array([0, 1, 1, 0, 1, 0, 1, 1, 0])
    won, both = groups(finetune, scratch, most=10)
    np.testing.assert_array_equal(won, [1, 0, 0, 1, 0, 1, 0, 0, 0])
    np.testing.assert_array_equal(both, [0, 1, 0, 0, 1, 0, 1, 0, 0])
    won, both = groups(finetune, scratch, most=2)
    np.testing.assert_array_equal(won, [1, 0, 0, 1, 0, 0, 0, 0, 0])
    np.testing.assert_array_equal(both, [0, 1, 0, 0, 1, 0, 0, 0, 0])
