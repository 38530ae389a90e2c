"""How claims are judged, and what claims.csv has of each."""

from math import inf, nan

import numpy as np
import pytest
from hand_made import estimate

from analysis.claims import (
    COUNTED,
    IMPOSSIBLE,
    KEYS,
    MET,
    NOT_MET,
    SCALE,
    UNDECIDED,
    Claim,
    as_table,
    compared,
    judged,
    ordered,
    overall,
)
from analysis.tables import INTERVAL


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [(2.1, 3, MET), (2.0, 3, UNDECIDED), (1.9, 3, UNDECIDED), (1.9, 2.0, NOT_MET), (1, 1.9, NOT_MET), (2, 2, NOT_MET),
     (nan, 3, IMPOSSIBLE), (2.1, nan, IMPOSSIBLE), (2.1, inf, MET), (inf, inf, MET)],
)  # fmt: skip
def test_more_than_2_is_judged_by_the_whole_interval(low, high, verdict):
    assert judged(low, high, above=2) == judged(low, high, above=2, below=nan) == verdict


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [(0.2, 0.3, MET), (0.13, 0.45, MET), (0.1, 0.3, UNDECIDED), (0.4, 0.46, UNDECIDED), (0.1, 0.5, UNDECIDED),
     (0.5, 0.6, NOT_MET), (0.45, 0.6, NOT_MET), (0.0, 0.13, NOT_MET), (nan, nan, IMPOSSIBLE)],
)  # fmt: skip
def test_a_range_is_judged_by_the_whole_interval(low, high, verdict):
    assert judged(low, high, above=0.13, below=0.45) == verdict


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [(-1, -0.1, MET), (-1, 0, UNDECIDED), (0, 0, NOT_MET), (0, 1, NOT_MET), (-1, 1, UNDECIDED), (nan, -1, IMPOSSIBLE)],
)  # fmt: skip
def test_less_than_0_is_judged_as_more_than_0_is(low, high, verdict):
    assert judged(low, high, above=nan, below=0) == judged(-high, -low, above=0) == verdict


def test_what_claims_nothing_has_no_verdict():
    assert judged(1, 2, nan) == judged(nan, nan, nan) == judged(1, 2, nan, nan) == ""


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [(0.1, 0.3, "more"), (-0.3, -0.1, "less"), (-0.3, 0.3, "undecided"), (0, 0.3, "undecided"), (-0.2, 0.2, "equal"),
     (-0.21, 0.1, "undecided"), (-0.1, 0.21, "undecided"), (0, 0, "equal"), (0.01, 0.02, "more"), (nan, 0.3, "")],
)  # fmt: skip
def test_an_excess_is_judged_by_its_whole_interval_and_equal_means_within_a_tenth(low, high, verdict):
    for value in (2.0, -2.0):
        assert compared(low, high, value) == verdict


def rows_of(*results, above=2):
    """Claims that differ in how they are counted, as in claims.csv."""
    return as_table("mine", [Claim("one", f"key{at}", "", result, above) for at, result in enumerate(results)])[0]


YES, NO, OPEN = estimate(3, 2.5, 3.5), estimate(1, 0.5, 1.5), estimate(2, 1.5, 2.5)
NEVER = estimate(nan, nan, nan)


@pytest.mark.parametrize(
    ("results", "verdict"),
    [([YES], MET), ([NO], NOT_MET), ([OPEN], UNDECIDED), ([NEVER], IMPOSSIBLE), ([YES, YES], MET),
     ([YES, NO], COUNTED), ([NO, YES], COUNTED), ([YES, OPEN], MET), ([OPEN, YES], UNDECIDED),
     ([OPEN, OPEN], UNDECIDED), ([OPEN, YES, NO], COUNTED),
     ([YES, NEVER], MET), ([NEVER, YES], IMPOSSIBLE)],
)  # fmt: skip
def test_ways_to_count_that_contradict_each_other_leave_no_verdict_and_else_the_main_one_decides(results, verdict):
    assert overall(rows_of(*results)) == verdict


@pytest.mark.parametrize(
    ("value", "equal", "verdict"),
    [(YES, YES, MET), (YES, NO, SCALE), (NO, YES, SCALE), (YES, OPEN, UNDECIDED), (NO, OPEN, UNDECIDED),
     (OPEN, YES, UNDECIDED), (NO, NO, NOT_MET), (YES, NEVER, MET), (NEVER, YES, IMPOSSIBLE)],
)  # fmt: skip
def test_met_and_not_met_at_equal_strengths_depends_on_the_probe_and_met_and_undecided_is_undecided(
    value, equal, verdict
):
    own = value.own
    both = estimate(*(float(part) for part in own[:3]), equal)
    assert overall(rows_of(both)) == verdict
    if verdict == SCALE:
        assert overall(rows_of(value, both)) == SCALE, "in any of the ways to count"


def test_what_is_met_in_one_way_and_not_met_in_another_at_equal_strengths_depends_on_how_it_is_counted():
    undecided_but_no = estimate(2, 1.5, 2.5, NO)
    assert overall(rows_of(YES, undecided_but_no)) == COUNTED


def test_where_an_exact_test_decides_equal_strengths_do_not():
    """It is of the strengths as measured."""
    table = rows_of(estimate(3, 2.5, 3.5, NO))
    assert overall(table) == overall(table.assign(p=nan)) == SCALE
    assert overall(table.assign(p=0.01)) == MET


def test_a_row_has_what_was_measured_what_is_claimed_and_every_reference():
    result = estimate(3, 2.5, 3.5, estimate(1.0, 0.5, 1.5), task=(2.9, -0.2, 0.3), sign=(2.0, 0.5, 1.5))
    claims = [Claim("It is much.", "all", "how much", result, above=2), Claim("It is.", "some", "it", NO, 0.1, 0.9)]
    table = ordered(as_table("mine", claims, [False, True])[0])
    first, second = (row for _, row in table.iterrows())
    assert list(table)[:16] == [*KEYS, *INTERVAL, "above", "below", "verdict", "vs_sign", "vs_task", "why", "noise",
                                "sign", "sign_excess"]  # fmt: skip
    assert list(first[KEYS]) == ["mine", "It is much.", "all", "how much"]
    assert list(first[["mean", "low", "high", "sign", "sign_excess", "sign_low", "sign_high"]]) == [
        3, 2.5, 3.5, 2, 1, 0.5, 1.5
    ]  # fmt: skip
    assert list(first[["equal_mean", "equal_low", "equal_high", "verdict"]]) == [1, 0.5, 1.5, MET]
    assert list(first[["vs_sign", "vs_task", "noise"]]) == ["more", "equal", ""]
    assert list(second[["above", "below", "verdict", "vs_sign", "noise"]]) == [
        0.1, 0.9, UNDECIDED, "", "could overturn"
    ]  # fmt: skip
    assert np.isnan(first["below"])
    assert np.isnan(second["sign"])


def test_what_there_is_nothing_to_compare_in_says_why():
    (row,) = as_table("mine", [Claim("one", "", "", YES, above=2, impossible="no curve falls")])[0].to_dict("records")
    assert (row["verdict"], row["why"]) == (IMPOSSIBLE, "no curve falls")
