import numpy as np
import pytest

from interactions.mobius import interactions, orders, values, variables

EPS = np.finfo(np.float64).eps


def subsets_of(mask):
    return [other for other in range(mask + 1) if other & ~mask == 0]


def brute_force(v):
    """Eq. 2, term by term."""
    return np.array(
        [sum((-1) ** ((s.bit_count() - t.bit_count()) % 2) * v[t] for t in subsets_of(s)) for s in range(len(v))]
    )


def present(n, *chosen):
    """Indicator, over all subsets of 1, ..., n, that all of `chosen` are kept."""
    mask = sum(2 ** (variable - 1) for variable in chosen)
    return ((np.arange(2**n) & mask) == mask).astype(float)


def test_the_example_of_two_variables():
    assert interactions(np.array([1, 4, 3, 8])).tolist() == [1, 3, 2, 2]
    assert values(np.array([1, 3, 2, 2])).tolist() == [1, 4, 3, 8]


@pytest.mark.parametrize("n", range(7))
def test_equals_the_definition_by_brute_force(n):
    v = np.random.default_rng(n).normal(size=2**n)
    np.testing.assert_allclose(interactions(v), brute_force(v), rtol=0, atol=1e-13)


@pytest.mark.parametrize("n", range(7))
def test_the_inverse_sums_over_all_subsets(n):
    strength = np.random.default_rng(n).normal(size=2**n)
    expected = [sum(strength[s] for s in subsets_of(t)) for t in range(2**n)]
    np.testing.assert_allclose(values(strength), expected, rtol=0, atol=1e-13)
    np.testing.assert_allclose(interactions(values(strength)), strength, rtol=0, atol=1e-13)


def test_is_linear():
    a, b = np.random.default_rng(0).normal(size=(2, 3, 64))
    np.testing.assert_allclose(interactions(2 * a - 3 * b), 2 * interactions(a) - 3 * interactions(b), atol=1e-12)


@pytest.mark.parametrize(
    "layout",
    [
        lambda v: np.asfortranarray(v),
        lambda v: np.ascontiguousarray(v.transpose(2, 0, 1)).transpose(1, 2, 0),
        lambda v: np.repeat(v, 2, axis=-1)[..., ::2],
        lambda v: v[::-1, :, ::-1][::-1, :, ::-1],
    ],
    ids=["fortran", "transposed", "strided", "negative strides"],
)
def test_any_layout_and_any_batch_axes(layout):
    v = np.random.default_rng(0).normal(size=(3, 4, 16))
    expected = [[brute_force(v[i, j]) for j in range(4)] for i in range(3)]
    laid_out = layout(v)
    np.testing.assert_array_equal(laid_out, v)
    np.testing.assert_allclose(interactions(laid_out), expected, atol=1e-13)
    np.testing.assert_allclose(values(interactions(laid_out)), v, atol=1e-13)


@pytest.mark.parametrize("shape", [(0, 8), (1, 8), (2, 0, 8), (1, 1, 1), (3, 1)])
def test_batches_of_one_and_of_none(shape):
    v = np.random.default_rng(0).normal(size=shape)
    expected = np.reshape([brute_force(vector) for vector in v.reshape(-1, shape[-1])], shape)
    found = interactions(v)
    assert found.flags.c_contiguous
    np.testing.assert_allclose(found, expected, atol=1e-13)


def test_a_vector_is_transformed_alike_alone_and_among_others():
    v = np.random.default_rng(0).normal(size=(7, 2**9))
    for transform in (interactions, values):
        np.testing.assert_array_equal(transform(v), [transform(vector) for vector in v])


def test_does_not_touch_its_input():
    v = np.random.default_rng(0).normal(size=(2, 8))
    before = v.copy()
    interactions(v)
    values(v)
    np.testing.assert_array_equal(v, before)


def test_works_in_float64_whatever_comes_in():
    v = np.arange(8, dtype=np.float32) + np.float32(2.0**24)  # 2**24 + 1 is no float32: the sums need more digits
    assert interactions(v).dtype == np.float64
    assert values(v)[-1] == v.astype(np.float64).sum()
    assert interactions(np.array([1, 4])).tolist() == [1.0, 3.0]


def test_no_variable_and_one_variable():
    assert interactions(np.array([2.5])).tolist() == [2.5]
    assert interactions(np.array([2.5, 4.0])).tolist() == [2.5, 1.5]
    assert variables(np.zeros((7, 1))) == 0


@pytest.mark.parametrize("length", [0, 3, 6, 1023])
def test_refuses_a_length_that_is_no_power_of_two(length):
    for transform in (interactions, values):
        with pytest.raises(ValueError, match=f"{length} entries"):
            transform(np.zeros((2, length)))


def test_a_boolean_polynomial_has_exactly_its_coefficients():
    v = 3 * present(6, 1) - 2 * present(6, 2, 3) - present(6, 3, 4, 5) + 5 * present(6, 4, 6)
    expected = np.zeros(64)
    expected[[0b000001, 0b000110, 0b011100, 0b101000]] = 3, -2, -1, 5
    np.testing.assert_array_equal(interactions(v), expected)


def test_a_random_sparse_game_gives_its_coefficients_back():
    draw = np.random.default_rng(0)
    expected = np.zeros(2**12)
    expected[draw.choice(2**12, 50, replace=False)] = draw.normal(size=50)
    subsets = np.arange(2**12)
    terms = np.flatnonzero(expected)
    v = sum(expected[term] * ((subsets & term) == term) for term in terms)
    np.testing.assert_allclose(interactions(v), expected, rtol=0, atol=4 * 12 * EPS * 2**6 * abs(v).max())


def test_the_parity_game_is_exact():
    sign = (-1.0) ** orders(16)
    np.testing.assert_array_equal(interactions(sign), (-2.0) ** orders(16))


def test_agrees_with_shapiq():
    from shapiq import ExactComputer  # imports for seconds

    table = np.random.default_rng(8).normal(size=2**8)
    found = ExactComputer(lambda kept: table[kept @ 2 ** np.arange(8)], n_players=8)("Moebius")
    expected = np.zeros(2**8)
    for subset, position in found.interaction_lookup.items():
        expected[sum(2**variable for variable in subset)] = found.values[position]
    np.testing.assert_allclose(interactions(table), expected, rtol=0, atol=1e-9)


def test_twenty_variables():
    v = np.random.default_rng(20).normal(size=2**20)
    back = values(interactions(v))
    np.testing.assert_allclose(back, v, rtol=0, atol=4 * 20 * EPS * 2**10 * abs(interactions(v)).max())
    assert interactions(v).sum() == pytest.approx(v[-1], abs=1e-8)  # efficiency


def test_orders_are_the_sizes_of_the_subsets():
    assert orders(0).tolist() == [0]
    assert orders(3).tolist() == [0, 1, 1, 2, 1, 2, 2, 3]
    assert np.bincount(orders(10)).tolist() == [1, 10, 45, 120, 210, 252, 210, 120, 45, 10, 1]
