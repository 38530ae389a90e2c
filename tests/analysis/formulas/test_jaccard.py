import numpy as np
import pytest

from analysis.formulas.jaccard import jaccard, of_smaller


@pytest.fixture
def pair():
    first, second = np.random.default_rng(0).normal(size=(2, 9, 32))
    first[:, :4], second[:, 2:6] = 0, 0
    return first, second


def test_equals_equation_9_on_vectors_of_twice_the_length(pair):
    a, b = (np.concatenate([np.maximum(model, 0), np.maximum(-model, 0)], axis=-1) for model in pair)
    expected = np.minimum(a, b).sum(-1) / np.maximum(a, b).sum(-1)
    np.testing.assert_allclose(jaccard(*pair), expected, rtol=1e-13)
    assert 0 < expected.min() < expected.max() < 1


def test_is_symmetric(pair):
    np.testing.assert_array_equal(jaccard(*pair), jaccard(*pair[::-1]))


def test_does_not_depend_on_the_scale_that_both_have(pair):
    np.testing.assert_allclose(jaccard(*pair), jaccard(*(1e-9 * model for model in pair)), rtol=1e-12)


def test_a_model_is_equal_to_itself_and_unlike_its_opposite(pair):
    first, _ = pair
    assert (jaccard(first, first) == 1).all()
    np.testing.assert_allclose(jaccard(first, -first), 0, atol=1e-15)
    np.testing.assert_allclose(jaccard(first, 0.25 * first), 0.25, rtol=1e-13)


def test_stays_between_0_and_1_whatever_is_rounded():
    first, second = np.random.default_rng(1).normal(size=(2, 500, 64)) * 10.0 ** np.arange(-8, 8).repeat(4)
    disjoint = np.where(np.arange(64) % 2, first, 0), np.where(np.arange(64) % 2, 0, second)
    for pair in ((first, second), (first, first * (1 + 1e-16)), disjoint, (first, -second)):
        found = jaccard(*pair)
        assert ((found >= 0) & (found <= 1)).all()
    np.testing.assert_allclose(jaccard(*disjoint), 0, atol=1e-15)


def test_two_models_without_interactions_are_equal_and_one_is_unlike_any_other():
    nothing, something = np.zeros((2, 8)), np.ones((2, 8))
    assert jaccard(nothing, nothing).tolist() == [1, 1]
    assert jaccard(nothing, something).tolist() == [0, 0]


def test_of_smaller_is_the_similarity_where_models_share_that_much(pair):
    a, b = (np.concatenate([np.maximum(model, 0), np.maximum(-model, 0)], axis=-1) for model in pair)
    np.testing.assert_allclose(of_smaller(*pair, np.minimum(a, b).sum(-1)), jaccard(*pair), rtol=1e-13)
    both = abs(pair[0]).sum(-1) + abs(pair[1]).sum(-1)
    assert (of_smaller(*pair, np.zeros(9)) == 0).all()
    np.testing.assert_allclose(of_smaller(*pair, both / 4), 1 / 3, rtol=1e-13)
    np.testing.assert_allclose(of_smaller(*pair, both / 2), 1, rtol=1e-13)


def test_of_smaller_takes_two_models_without_interactions_for_equal():
    with np.errstate(all="raise"):
        assert of_smaller(np.zeros((2, 8)), np.zeros((2, 8)), np.zeros(2)).tolist() == [1, 1]
