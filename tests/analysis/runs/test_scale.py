"""Where training from scratch stands between floor and ceiling, over runs."""

import numpy as np
import pytest

from analysis.claims import Claim, as_table
from analysis.measured import Measured
from analysis.runs.claims import claims
from analysis.runs.scale import CLAIM, NONE
from analysis.runs.settings import in_order
from analysis.statistics.between import spread

SAMPLES = 15


@pytest.fixture
def over(run_of):
    """over([(value, floor, ceiling) of each sample, for each run]): the row that is on the scale, or None."""

    def made(runs, same=True, missing=()):
        found = []
        for seed, (value, floor, ceiling) in enumerate(runs):
            levels = {"sign": {"x": floor}} | ({} if seed in missing else {"ceiling": {"x": ceiling}})
            one = Measured({"x": value}, levels).estimate("x")
            table, pseudo = as_table("ratio", [Claim("scratch learns", "ratio/x", "ratio", one, 0.13, 0.45)])
            kept = {"data": np.array("digits/test"), "index": np.arange(SAMPLES) + (0 if same else seed)}
            kept |= {f"claims/{name}": array for name, array in pseudo.items()}
            found.append(run_of({}, {}, train=seed, tables={"claims": table}, kept={"ratio": kept}))
        rows = claims(*in_order(found)).set_index("key")
        return rows.loc["ratio/x/scale"] if "ratio/x/scale" in rows.index else None

    return made


@pytest.fixture
def runs():
    """Three runs in which scratch stands at 5/8 of the way, about."""
    draw = np.random.default_rng(0)
    return [tuple(level + 0.02 * draw.normal(size=SAMPLES) for level in (0.47, 0.27, 0.59)) for _ in range(3)]


def test_the_floor_is_0_and_the_ceiling_is_1(over, runs):
    row = over(runs)
    value, floor, ceiling = np.array(runs).mean((0, 2))
    assert (row["claim"], row["verdict"], row["why"], row["runs"]) == (CLAIM, "", "", 3)
    assert row["mean"] == pytest.approx((value - floor) / (ceiling - floor))
    assert row["mean"] == pytest.approx(5 / 8, abs=0.05)
    assert row["quantity"] == "ratio, from floor (sign, 0) to ceiling (1)"


def test_its_interval_has_all_numbers_for_which_the_distance_is_not_clear_of_0(over, runs):
    row, (value, floor, ceiling) = over(runs), np.moveaxis(np.array(runs), 1, 0)[..., None]
    for end in (row["low"], row["high"]):
        distance = value - floor - end * (ceiling - floor)
        found = spread(distance.mean(1), distance)
        assert abs(found.mean[0]) == pytest.approx(found.half()[0], rel=1e-6)
    assert row["low"] < row["mean"] < row["high"] < row["low"] + 0.5


def test_another_fine_tuning_stands_at_1_and_what_shares_nothing_at_0(over, runs):
    at_ceiling = over([(ceiling, floor, ceiling) for _, floor, ceiling in runs])
    assert list(at_ceiling[["mean", "low", "high"]]) == pytest.approx([1, 1, 1], abs=1e-6)
    at_floor = over([(floor, floor, ceiling) for _, floor, ceiling in runs])
    assert list(at_floor[["mean", "low", "high"]]) == pytest.approx([0, 0, 0], abs=1e-5)


def test_a_ceiling_that_is_not_clear_of_the_floor_leaves_no_scale(over, runs):
    row = over([(value, floor, floor + 0.3 * (ceiling - ceiling.mean())) for value, floor, ceiling in runs])
    assert row["why"] == NONE
    assert np.isnan(row["mean"])


def test_it_takes_two_runs_on_the_same_samples_that_all_have_a_ceiling(over, runs):
    assert over(runs[:2]) is not None
    assert over(runs[:1]) is None
    assert over(runs, same=False) is None
    assert over(runs, missing=[1]) is None
