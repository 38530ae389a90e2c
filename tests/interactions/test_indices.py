"""Against the definitions by brute force, against shapiq, and by what theorems say."""

from functools import partial
from itertools import permutations
from math import comb, factorial

import numpy as np
import pytest
from scipy.linalg import hadamard
from scipy.special import bernoulli

from interactions.indices import banzhaf, k_sii, shapley, shapley_interaction, shapley_taylor, walsh
from interactions.mobius import interactions, orders

N = 5
OF_ORDER = {"SII": shapley_interaction, "k-SII": k_sii, "STII": shapley_taylor}
OF_VARIABLES = {"SV": shapley, "BV": banzhaf}
EVERY = [*OF_VARIABLES.values(), walsh, *(partial(index, order=2) for index in OF_ORDER.values())]


def game(n, seed=0):
    return np.random.default_rng([n, seed]).normal(size=2**n)


def inside(mask):
    return [other for other in range(mask + 1) if other & ~mask == 0]


def gain(v, of, others):
    """The discrete derivative: what the variables `of` add together where `others` are there already."""
    return sum((-1) ** (of.bit_count() - part.bit_count()) * v[others | part] for part in inside(of))


def by_weight(v, of, weight):
    """The sum of weight(|K|) times the gain over all K without `of`."""
    return sum(weight(k.bit_count()) * gain(v, of, k) for k in inside(len(v) - 1 & ~of))


def sii(v, of):
    n, t = len(v).bit_length() - 1, of.bit_count()
    return by_weight(v, of, lambda k: factorial(n - t - k) * factorial(k) / factorial(n - t + 1))


def stii(v, of, order):
    n = len(v).bit_length() - 1
    return by_weight(v, of, lambda k: order / n / comb(n - 1, k)) if of.bit_count() == order else gain(v, of, 0)


def aggregated(v, of, order):
    """k-SII, from the SII of all larger sets up to the order."""
    if not of:
        return v[0]
    above = [s for s in range(len(v)) if s & of == of and s.bit_count() <= order]
    return sum(bernoulli(order)[s.bit_count() - of.bit_count()] * sii(v, s) for s in above)


def test_the_example_of_two_variables():
    example = np.array([1.0, 3, 2, 2])
    assert shapley(example).tolist() == banzhaf(example).tolist() == [4, 3]
    assert shapley_taylor(example, 1).tolist() == k_sii(example, 1).tolist() == [1, 4, 3, 0]
    assert walsh(example).tolist() == [4, -2, -1.5, 0.5]


@pytest.mark.parametrize("n", range(1, 6))
def test_shapley_is_the_mean_gain_over_all_orders_of_adding_variables(n):
    v, expected = game(n), np.zeros(n)
    for order in permutations(range(n)):
        there = 0
        for variable in order:
            expected[variable] += (v[there | 1 << variable] - v[there]) / factorial(n)
            there |= 1 << variable
    np.testing.assert_allclose(shapley(interactions(v)), expected, atol=1e-12)


@pytest.mark.parametrize("n", range(1, 7))
def test_banzhaf_is_the_mean_gain_over_all_subsets_of_the_others(n):
    v = game(n)
    expected = [by_weight(v, 1 << variable, lambda k: 0.5 ** (n - 1)) for variable in range(n)]
    np.testing.assert_allclose(banzhaf(interactions(v)), expected, atol=1e-12)


@pytest.mark.parametrize("order", range(1, N + 1))
@pytest.mark.parametrize(("index", "definition"), [
    (shapley_interaction, lambda v, of, order: sii(v, of) if of else 0.0), (shapley_taylor, stii), (k_sii, aggregated),
])  # fmt: skip
def test_interaction_indices_by_their_definitions(index, definition, order):
    v = game(N)
    expected = [definition(v, of, order) if of.bit_count() <= order else 0.0 for of in range(2**N)]
    np.testing.assert_allclose(index(interactions(v), order), expected, atol=1e-12)


@pytest.mark.parametrize("n", range(7))
def test_walsh_by_its_definition_and_parseval(n):
    v, found = game(n), walsh(interactions(game(n)))
    np.testing.assert_allclose(found, hadamard(2**n) @ v / 2**n, atol=1e-12)  # entry S, T is (-1)^|S and T|
    assert np.square(found).sum() == pytest.approx(np.square(v).mean())


def test_banzhaf_is_the_first_order_of_walsh():
    found = interactions(game(N))
    np.testing.assert_allclose(-2 * walsh(found)[1 << np.arange(N)], banzhaf(found), atol=1e-12)


@pytest.fixture(scope="module")
def exact():
    """The index of a game, by shapiq: [2**n]."""
    from shapiq import ExactComputer  # imports for seconds

    def of(v, index, order):
        n = len(v).bit_length() - 1
        found, expected = ExactComputer(lambda kept: v[kept @ 2 ** np.arange(n)], n_players=n)(index, order), v * 0
        for subset, place in found.interaction_lookup.items():
            expected[sum(2**variable for variable in subset)] = found.values[place]
        return expected

    return of


@pytest.mark.parametrize("n", range(3, 8))
def test_agrees_with_shapiq(exact, n):
    v, strength = game(n), interactions(game(n))
    for name, index in OF_VARIABLES.items():
        np.testing.assert_allclose(index(strength), exact(v, name, 1)[1 << np.arange(n)], rtol=0, atol=1e-9)
    for name, index in OF_ORDER.items():
        for order in range(1, min(n, 4) + 1):
            start = name == "SII"  # of the empty set shapiq has v(x_0) there, or 0
            found, expected = index(strength, order)[start:], exact(v, name, order)[start:]
            np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9, err_msg=f"{name}, order {order}")


def test_walsh_has_the_sign_and_scale_of_shapiq():
    """Which turns Fourier coefficients into Moebius interactions with a function of this package."""
    from sparse_transform.qsft.utils.general import fourier_to_mobius

    strength = interactions(game(4))
    members = [tuple(bit for bit in range(4) if subset >> bit & 1) for subset in range(16)]
    found = fourier_to_mobius(dict(zip(members, walsh(strength), strict=True)))
    np.testing.assert_allclose([found[of] for of in members], strength, rtol=0, atol=1e-9)


def test_efficiency():
    """What is shared out adds up to the answer, whatever the order."""
    v, strength = game(6), interactions(game(6))
    assert shapley(strength).sum() == pytest.approx(v[-1] - v[0])
    for order in range(1, 7):
        for index in (k_sii, shapley_taylor):
            assert index(strength, order).sum() == pytest.approx(v[-1])
            assert not index(strength, order)[orders(6) > order].any()


def test_the_first_order_is_shapley_and_the_last_one_moebius():
    strength, single = interactions(game(N)), 1 << np.arange(N)
    for index in OF_ORDER.values():
        np.testing.assert_allclose(index(strength, 1)[single], shapley(strength), atol=1e-12)
    for index in (k_sii, shapley_taylor):
        np.testing.assert_allclose(index(strength, N), strength, atol=1e-12)


@pytest.mark.parametrize("index", EVERY)
def test_is_linear(index):
    a, b = (interactions(game(N, seed)) for seed in (1, 2))
    np.testing.assert_allclose(index(2 * a - 3 * b), 2 * index(a) - 3 * index(b), atol=1e-12)


@pytest.mark.parametrize("index", EVERY)
def test_a_variable_that_changes_nothing_has_nothing(index):
    v = np.repeat(game(N - 1).reshape(-1, 4), 2, axis=0).ravel()  # the same with variable 2 and without it
    found = index(interactions(v))
    with_it = np.arange(len(found)) == 2 if len(found) == N else np.arange(2**N) & 4 > 0
    np.testing.assert_allclose(found[with_it], 0, atol=1e-12)
    assert (abs(found[~with_it]) > 1e-9).any()


@pytest.mark.parametrize("index", EVERY)
def test_variables_that_play_the_same_part_have_the_same(index):
    def exchanged(mask):
        return mask & ~3 | (mask & 1) << 1 | (mask & 2) >> 1

    v, places = game(N), [exchanged(mask) for mask in range(2**N)]
    found = index(interactions((v + v[places]) / 2))
    again = found[[1, 0, *range(2, N)]] if len(found) == N else found[places]
    np.testing.assert_allclose(found, again, atol=1e-12)


@pytest.mark.parametrize("index", EVERY)
def test_any_leading_axes(index):
    strength = interactions(np.random.default_rng(0).normal(size=(2, 3, 2**N)))
    expected = np.array([[index(one) for one in row] for row in strength])
    np.testing.assert_allclose(index(strength), expected, atol=1e-12)
    assert index(np.zeros((0, 2**N))).shape == (0, *expected.shape[2:])


@pytest.mark.parametrize("index", OF_ORDER.values())
@pytest.mark.parametrize("order", [-1, 0, N + 1])
def test_other_orders_are_refused(index, order):
    with pytest.raises(ValueError, match=f"order={order} is not allowed: 1 to {N} are, for {N} variables"):
        index(interactions(game(N)), order)


@pytest.mark.parametrize("index", EVERY)
def test_a_length_that_is_no_power_of_two_is_refused(index):
    with pytest.raises(ValueError, match="6 entries"):
        index(np.zeros(6))


def test_does_not_touch_its_input():
    strength = interactions(game(N))
    before = strength.copy()
    for index in EVERY:
        index(strength)
    np.testing.assert_array_equal(strength, before)
