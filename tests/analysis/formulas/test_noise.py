import numpy as np
import pytest
import torch

from analysis.formulas.noise import EPSILON, explained, noise_by_order, noise_of_values
from interactions.mobius import interactions, orders


def test_the_noise_of_values_is_the_root_mean_square_difference():
    assert noise_of_values(np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 1.0])) == pytest.approx(np.sqrt(4 / 3))
    reference = np.random.default_rng(0).normal(size=20_000)
    noisy = reference + np.random.default_rng(1).normal(scale=1e-3, size=20_000)
    assert noise_of_values(noisy, reference) == pytest.approx(1e-3, rel=0.03)


def test_epsilon_is_the_distance_from_1_to_the_next_number():
    assert {name: torch.finfo(getattr(torch, name)).eps for name in EPSILON} == EPSILON


def test_rounding_explains_a_small_share_of_the_largest_value():
    v = np.array([[0.5, -8.0], [1.0, 2.0]])
    assert explained(v, "float32") == pytest.approx(8 * 1024 * 2**-23)
    assert explained(v, "float64") == pytest.approx(8 * 1024 * 2**-52)
    for half in ("float16", "bfloat16"):
        assert explained(v, half) == 0.5


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_rounding_explains_what_rounding_does_to_a_deep_network(precision):
    torch.manual_seed(0)
    layers = [layer for _ in range(50) for layer in (torch.nn.Linear(64, 64), torch.nn.LayerNorm(64), torch.nn.ReLU())]
    network, inputs = torch.nn.Sequential(*layers), torch.randn(500, 64)
    dtype = getattr(torch, precision)
    with torch.no_grad():
        v = network.to(dtype)(inputs.to(dtype))[:, 0].double().numpy()
        exact = network.double()(inputs.to(dtype).double())[:, 0].numpy()
    assert 0 < noise_of_values(v, exact) < explained(v, precision)


def test_independent_noise_of_values_becomes_this_noise_of_interactions():
    n, order = 6, orders(6)
    noise = interactions(np.random.default_rng(0).normal(scale=1e-3, size=(20_000, 2**n)))
    found = [noise[:, order == k].std() for k in range(n + 1)]
    np.testing.assert_allclose(noise_by_order(1e-3, n), found, rtol=0.03)
