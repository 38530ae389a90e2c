"""By brute force, from the definition in words."""

import numpy as np
import pytest

from analysis.formulas.knockout import flips, groups, knockout
from analysis.formulas.ratio import learned
from analysis.formulas.references import shared
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


def lacking(a: float, b: float, c: float) -> float:
    """P - L of one subset."""
    preserved = min(abs(a), abs(b)) if a * b > 0 else 0.0
    return preserved - (min(preserved, abs(c)) if a * c > 0 else 0.0)


def others(subset: int) -> list[int]:
    return [other for other in range(2**N) if ORDER[other] == ORDER[subset] and other != subset]


def test_the_parts_are_the_whole_answer(models):
    found, v = knockout(*models, ORDER), values(models[1])
    np.testing.assert_allclose(found.taken + found.shared + found.new, v[:, -1] - v[:, 0])


def test_the_parts_are_those_of_decomposition_and_ratio(models):
    pretrain, finetune, scratch = models
    found, preserved = knockout(*models, ORDER), shared(pretrain, finetune)
    known = learned(preserved, pretrain, scratch)
    for part, strength in ((found.taken, preserved - known), (found.shared, known)):
        np.testing.assert_allclose(part, (np.sign(finetune) * strength)[:, 1:].sum(1))


def test_what_is_taken_out_by_its_definition(models):
    found = knockout(*models, ORDER)
    for sample, (a, b, c) in enumerate(zip(*models, strict=True)):
        expected = sum(np.sign(b[subset]) * lacking(a[subset], b[subset], c[subset]) for subset in range(1, 2**N))
        assert found.taken[sample] == pytest.approx(expected)


def test_elsewhere_moves_strengths_to_all_other_subsets_of_the_order(models):
    found = knockout(*models, ORDER)
    for sample, (a, b, c) in enumerate(zip(*models, strict=True)):
        total = 0.0
        for place in range(1, 2**N):
            moved = [lacking(a[of], b[of], c[of]) for of in others(place) or [place]]
            total += np.sign(b[place]) * np.minimum(moved, abs(b[place])).mean()
        assert found.elsewhere[sample] == pytest.approx(total)


def test_placement_reads_the_two_other_models_at_all_other_subsets(models):
    """Without order n, for which other samples count (analysis/formulas/references.py)."""
    models = [np.where(ORDER < N, each, 0.0) for each in models]
    found = knockout(*models, ORDER)
    for sample, (a, b, c) in enumerate(zip(*models, strict=True)):
        expected = sum(
            np.sign(b[place]) * np.mean([lacking(a[of], b[place], c[of]) for of in others(place)])
            for place in range(1, 2**N - 1)
        )
        assert found.placement[sample] == pytest.approx(expected)


def test_nothing_is_taken_out_where_scratch_has_it_all(models):
    pretrain, finetune, _ = models
    found = knockout(pretrain, finetune, 10 * pretrain, ORDER)
    for part in (found.taken, found.elsewhere, found.placement):
        np.testing.assert_allclose(part, 0, atol=1e-12)


def test_models_without_anything_in_common_are_told_by_placement_alone():
    """Their effects speak for the class on average, as those of a model that is right."""
    draw = np.random.default_rng(2)
    found = knockout(*(draw.normal(0.3, 1, size=(5000, 2**N)) for _ in range(3)), ORDER)
    for reference, is_exact in ((found.placement, True), (found.elsewhere, False)):
        beyond = found.taken - reference
        assert (abs(beyond.mean()) < 4 * beyond.std() / np.sqrt(5000)) == is_exact


def test_what_was_preserved_in_its_place_is_more_than_both():
    draw = np.random.default_rng(3)
    finetune = draw.normal(0.3, 1, size=(2000, 2**N))
    pretrain = finetune + 0.3 * draw.normal(size=finetune.shape)
    found = knockout(pretrain, finetune, draw.normal(size=finetune.shape), ORDER)
    for reference in (found.placement, found.elsewhere):
        beyond = found.taken - reference
        assert beyond.mean() > 10 * beyond.std() / np.sqrt(2000)


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
