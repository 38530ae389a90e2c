"""What a measure has found: estimates with references, further references."""

import numpy as np
import pytest

from analysis.measured import Measured

MEASURED = Measured(
    {"a": np.array([1.0, 3.0, 5.0]), "b": np.array([2.0, 2.0, 8.0])},
    {"sign": {"a": np.array([4.0, 4.0, 4.0])}, "task": {"b": np.array([1.0, 2.0, 3.0])}},
)


def test_an_estimate_takes_what_is_observed_where_a_reference_has_none():
    result = MEASURED.estimate(("a", "b"), lambda a, b: a / b)
    assert result.value == 3 / 4
    assert result.levels == {"sign": 4 / 4, "task": 3 / 2}
    assert {name: float(each.value) for name, each in result.excess.items()} == {"sign": -0.25, "task": -0.75}
    assert MEASURED.estimate("b").levels == {"task": 2}


def test_the_excess_varies_with_both_its_parts():
    """Of a mean its pseudo-values are the samples' own differences."""
    excess = MEASURED.estimate("a").excess["sign"]
    assert excess.pseudo.tolist() == pytest.approx([-3, -1, 1])
    half = 4.302652729 * 2 / np.sqrt(3)  # Student's t of 2 degrees of freedom, standard deviation 2
    assert (excess.low, excess.high) == pytest.approx((-1 - half, -1 + half))


def test_a_name_may_be_that_of_a_reference_and_an_estimate_may_stand_alone():
    result = MEASURED.estimate(("a", "sign/a"), lambda a, level: a - level, alone=True)
    assert (result.value, result.levels, result.excess) == (-1, {}, {})


def test_further_references_are_broadcast_and_added_at_equal_strengths_too():
    measured = Measured(
        {"a": np.ones((3, 4))}, {"sign": {"a": np.zeros((3, 4))}}, Measured({"a": np.full((3, 4), 2.0)})
    )
    further = Measured(
        {}, {"ceiling": {"a": np.arange(3.0)[:, None]}}, Measured({}, {"ceiling": {"a": np.full((3, 1), 5.0)}})
    )
    both = measured.with_references(further)
    assert list(both.references) == ["sign", "ceiling"]
    assert both.references["ceiling"]["a"].tolist() == [[0.0] * 4, [1.0] * 4, [2.0] * 4]
    assert both.equal.references["ceiling"]["a"].tolist() == [[5.0] * 4] * 3
    assert list(measured.references) == ["sign"], "the first is left as it is"
    assert both.estimate("a").equal.levels["ceiling"].tolist() == [5.0] * 4
