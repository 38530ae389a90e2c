"""The slope within seeds, on numbers of known truth."""

from itertools import permutations, product

import numpy as np
import pytest

from analysis.statistics import slope as module
from analysis.statistics.slope import slope

SHIFTS = np.array([[3.0], [-20.0], [7.0]])


def draws(seed: int, seeds: int, arms: int, of_arms: float) -> tuple[np.ndarray, np.ndarray]:
    """Gain and excess that have nothing to do with each other; of_arms: how far arms differ in each, in every seed."""
    draw = np.random.default_rng(seed)
    return tuple(
        draw.normal(size=(seeds, arms)) + of_arms * draw.normal(size=(1, arms)) + draw.normal(size=(seeds, 1))
        for _ in range(2)
    )


def test_the_slope_of_points_on_a_line_whatever_their_seeds_share():
    excess = np.array([[0.0, 1, 2], [1, 2, 4], [5, 6, 6]])
    found = slope(2 * excess + SHIFTS, excess)
    assert found.slope == pytest.approx(2)
    assert found.p == pytest.approx(2 / 6**3), "as given, and with the two equal arms of a seed exchanged"


def test_the_slope_is_least_squares_with_a_level_for_each_seed():
    gain, excess = draws(0, 4, 5, of_arms=1)
    levels = np.kron(np.eye(4), np.ones((5, 1)))
    expected = np.linalg.lstsq(np.column_stack([excess.ravel(), levels]), gain.ravel(), rcond=None)[0][0]
    assert slope(gain, excess).slope == pytest.approx(expected)


def test_p_values_count_all_permutations():
    """By brute force: within each seed by itself, and of whole arms."""
    gain, excess = draws(1, 3, 3, of_arms=1)
    found, every = slope(gain, excess), list(permutations(range(3)))

    def beyond(chosen) -> float:
        steep = [abs(slope_of([gain[row, list(order)] for row, order in enumerate(orders)])) for orders in chosen]
        return np.mean(np.array(steep) >= abs(found.slope) - 1e-12)

    def slope_of(rows) -> float:
        x, y = excess - excess.mean(1, keepdims=True), np.array(rows) - np.mean(rows, 1, keepdims=True)
        return (x * y).sum() / (x * x).sum()

    assert found.p == pytest.approx(beyond(product(every, repeat=3)))
    assert found.p_arms == pytest.approx(beyond([[order] * 3 for order in every]))


def test_the_interval_is_the_jackknife_over_seeds():
    gain, excess = draws(2, 4, 6, of_arms=1)
    found = slope(gain, excess)
    rest = [slope(np.delete(gain, one, 0), np.delete(excess, one, 0)).slope for one in range(4)]
    error = np.sqrt(3 / 4 * np.square(np.array(rest) - np.mean(rest)).sum())
    assert found.high - found.slope == pytest.approx(3.182446 * error)  # Student's t, 3 degrees of freedom
    assert found.slope - found.low == pytest.approx(3.182446 * error)


def test_where_nothing_can_be_said():
    gain, excess = draws(3, 2, 4, of_arms=1)
    assert np.isnan([slope(gain, excess).low, slope(gain, excess).high]).all(), "two seeds"
    assert slope(gain, excess).verdict == "undecided"
    assert np.isnan(slope(gain, np.ones((2, 4)))).all(), "no arm preserves more than another"
    assert slope(gain, np.ones((2, 4))).verdict == "undecided"


def test_random_permutations_are_seeded_and_near_the_exact_ones(monkeypatch):
    gain, excess = draws(4, 3, 3, of_arms=0)
    exact = slope(gain, excess).p
    monkeypatch.setattr(module, "factorial", lambda _: 10**9)  # too many
    assert slope(gain, excess).p == slope(gain, excess).p != slope(gain, excess, seed=1).p
    assert slope(gain, excess).p == pytest.approx(exact, abs=4 * np.sqrt(0.25 / 10_000))


def test_unrelated_numbers_have_uniform_p_values():
    found = np.array([slope(*draws(seed, 2, 4, of_arms=0)).p for seed in range(1000)])
    assert (found <= 0.05).mean() <= 0.07
    for level in (0.1, 0.25, 0.5, 0.75):
        assert (found <= level).mean() == pytest.approx(level, abs=4 * np.sqrt(level * (1 - level) / 1000)), level


def test_unrelated_arms_are_told_only_by_exchanging_whole_arms(monkeypatch):
    """They differ in both quantities, the same way in every seed: labels within seeds find that remarkable."""
    monkeypatch.setattr(module, "DRAWS", 199)
    found = [slope(*draws(seed, 5, 5, of_arms=2)) for seed in range(400)]
    p, p_arms = (np.array([getattr(one, name) for one in found]) for name in ("p", "p_arms"))
    assert (p < 0.05).mean() > 0.2
    assert (p_arms < 0.05).mean() <= 0.07
    assert np.mean([one.verdict != "undecided" for one in found]) <= 0.07
    for level in (0.25, 0.5, 0.75):
        assert (p_arms <= level).mean() == pytest.approx(level, abs=4 * np.sqrt(level * (1 - level) / 400)), level


@pytest.mark.parametrize(("truth", "verdict"), [(0.5, "met"), (-0.5, "not met")])
def test_a_true_slope_is_found_and_held_by_its_interval(monkeypatch, truth, verdict):
    monkeypatch.setattr(module, "DRAWS", 199)
    found = []
    for seed in range(200):
        noise, excess = draws(seed, 5, 6, of_arms=0)[0], draws(seed + 1000, 5, 6, of_arms=2)[1]
        found.append(slope(truth * excess + 0.3 * noise, excess))
    assert np.mean([one.verdict == verdict for one in found]) > 0.9
    assert np.mean([one.slope for one in found]) == pytest.approx(truth, abs=0.02)
    assert 0.9 <= np.mean([one.low < truth < one.high for one in found]) <= 0.99
