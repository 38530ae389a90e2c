"""Against the definitions in words: all ways to give values to variables, and scipy's rank correlation."""

from itertools import permutations

import numpy as np
import pytest
from scipy.stats import spearmanr

from analysis.formulas.attribution import WAYS, agreement, by_placement, scores, telling

N = 5


@pytest.fixture(params=["with equal values", "without"])
def credit(request):
    """Of two models on four samples: [2, 4, N]."""
    draw = np.random.default_rng(0)
    return draw.integers(-1, 2, size=(2, 4, N)) + (0.0 if "with " in request.param else draw.normal(size=(2, 4, N)))


def compared(credit, way, of=agreement):
    return of(*(scores(each, way) for each in credit))


def test_the_example_of_three_variables():
    found = {way: compared(np.array([[3.0, 1, 2], [2, 1, 0]]), way) for way in WAYS}
    assert found == {"cosine": pytest.approx(7 / np.sqrt(70)), "rank": pytest.approx(0.5), "top": 1}


def test_cosine_and_rank_by_their_definitions(credit):
    for sample, (a, b) in enumerate(zip(*credit, strict=True)):
        assert compared(credit, "cosine")[sample] == pytest.approx(a @ b / np.sqrt((a @ a) * (b @ b)))
        assert compared(credit, "rank")[sample] == pytest.approx(spearmanr(a, b).statistic)


def test_top_is_how_often_the_same_variable_is_drawn_among_those_with_the_most(credit):
    for sample, (a, b) in enumerate(zip(*credit, strict=True)):
        tops = [np.flatnonzero(each == each.max()) for each in (a, b)]
        assert compared(credit, "top")[sample] == pytest.approx(np.mean([i == j for i in tops[0] for j in tops[1]]))


@pytest.mark.parametrize("way", WAYS)
def test_placement_is_the_mean_over_all_other_ways_to_give_the_values_to_variables(credit, way):
    first, second = credit
    ways = [list(places) for places in permutations(range(N))][1:]  # without the model's own
    expected = np.mean([compared((first, second[:, places]), way) for places in ways], axis=0)
    np.testing.assert_allclose(compared(credit, way, by_placement), expected, atol=1e-12)


@pytest.mark.parametrize("way", WAYS)
def test_agreement_has_no_scale_and_lies_between_both_ends(credit, way):
    first, second = credit
    np.testing.assert_allclose(compared((first, 7 * first), way) > 0.2, True)
    np.testing.assert_allclose(compared((0.1 * first, 7 * second), way), compared(credit, way), atol=1e-12)
    assert (abs(compared(credit, way)) <= 1 + 1e-12).all()


def test_equal_and_opposite_credit():
    credit = np.array([4.0, -1, 2, 0])
    for way, opposite in (("cosine", -1), ("rank", -1), ("top", 0)):
        assert compared((credit, credit), way) == pytest.approx(1)
        assert compared((credit, -credit), way) == pytest.approx(opposite)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("way", WAYS)
def test_credit_that_tells_no_variables_apart_has_no_agreement(way):
    credit = telling(np.array([[2.0, 2, 2], [0, 0, 0], [1, 1, 1.01], [1, 1, 2]]), noise=0.05)
    assert np.isnan(credit).all(1).tolist() == [True, True, True, False]
    other = np.arange(12.0).reshape(4, 3)
    for of in (agreement, by_placement):
        assert np.isnan(compared((credit, other), way, of)).tolist() == [True, True, True, False]


@pytest.mark.filterwarnings("error")
def test_a_single_variable_has_nothing_to_be_told_from():
    credit = telling(np.array([[2.0], [-1.0]]))
    for way in WAYS:
        for of in (agreement, by_placement):
            assert np.isnan(compared((credit, credit), way, of)).all()
    assert np.isnan(by_placement(np.ones((2, 1)), np.ones((2, 1)))).all(), "and no other place"
