import numpy as np
import pytest

from analysis.noise import noise_by_order, noise_of_values
from interactions.mobius import interactions, orders


def test_the_noise_of_values_is_the_root_mean_square_difference():
    assert noise_of_values(np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 1.0])) == pytest.approx(np.sqrt(4 / 3))
    reference = np.random.default_rng(0).normal(size=20_000)
    noisy = reference + np.random.default_rng(1).normal(scale=1e-3, size=20_000)
    assert noise_of_values(noisy, reference) == pytest.approx(1e-3, rel=0.03)


def test_independent_noise_of_values_becomes_this_noise_of_interactions():
    n, order = 6, orders(6)
    noise = interactions(np.random.default_rng(0).normal(scale=1e-3, size=(20_000, 2**n)))
    found = [noise[:, order == k].std() for k in range(n + 1)]
    np.testing.assert_allclose(noise_by_order(1e-3, n), found, rtol=0.03)
