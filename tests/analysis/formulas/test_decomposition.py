import numpy as np
import pytest

from analysis.formulas.decomposition import by_order
from analysis.formulas.references import shared
from interactions.mobius import orders


@pytest.fixture
def pair():
    """Interactions of two models; some are 0 in one or both, some equal."""
    pretrain, finetune = np.random.default_rng(0).normal(size=(2, 5, 64))
    pretrain[:, :6], finetune[:, 3:9] = 0, 0
    finetune[:, 10:14] = pretrain[:, 10:14]
    return pretrain, finetune


def parts(pretrain, finetune):
    """Preserved, discarded and new strength."""
    preserved = shared(pretrain, finetune)
    return preserved, abs(pretrain) - preserved, abs(finetune) - preserved


def test_no_part_is_negative_or_more_than_a_strength(pair):
    assert min(part.min() for part in parts(*pair)) == 0
    assert (shared(*pair) <= np.minimum(*map(abs, pair))).all()


def test_equals_equations_6_and_7(pair):
    pretrain, finetune = pair
    found = parts(pretrain, finetune)
    for at in np.ndindex(pretrain.shape):
        a, b = pretrain[at], finetune[at]
        preserved = min(abs(a), abs(b)) if (a > 0 and b > 0) or (a < 0 and b < 0) else 0
        assert [part[at] for part in found] == [preserved, abs(a) - preserved, abs(b) - preserved]


@pytest.mark.parametrize(
    ("pretrain", "finetune", "expected"),
    [
        (3, 2, (2, 1, 0)),
        (-2, -3, (2, 0, 1)),
        (3, -2, (0, 3, 2)),
        (-3, 2, (0, 3, 2)),
        (3, 0, (0, 3, 0)),
        (0, 0, (0,) * 3),
    ],
)
def test_signs(pretrain, finetune, expected):
    assert tuple(part.item() for part in parts(np.array([pretrain]), np.array([finetune]))) == expected


def test_exchanging_the_models_exchanges_discarded_and_new(pair):
    preserved, discarded, new = parts(*pair)
    for found, expected in zip(parts(*pair[::-1]), (preserved, new, discarded), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_by_order_is_the_mean_over_the_subsets_of_an_order():
    strength = np.random.default_rng(0).random((3, 2, 32))
    for order, first in ((orders(5), 0), (orders(5)[1:], 1)):  # with and without the empty subset
        found = by_order(strength[..., 32 - len(order) :], order)
        assert found.shape == (3, 2, 6 - first)
        for column, wanted in enumerate(range(first, 6)):
            chosen = [s for s in range(32) if s.bit_count() == wanted]
            np.testing.assert_allclose(found[..., column], strength[..., chosen].mean(-1), rtol=1e-12)
