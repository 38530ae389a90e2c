import numpy as np
import pandas as pd
import pytest

from analysis.drawing.references import LEFT, MARKS, levels, style, words

TABLE = pd.DataFrame({
    "order": [0, 1], "mean": 0.5, "low": 0.4, "high": 0.6, "sign": 0.3, "sign_excess": 0.2, "sign_low": 0.1,
    "sign_high": 0.3, "task": np.nan, "task_excess": np.nan, "ceiling": [np.nan, 0.7], "far_low": 0.1, "lost": np.inf,
    "equal_mean": 0.5, "equal_sign": 0.3, "equal_sign_excess": 0.2,
})  # fmt: skip


def test_references_are_the_levels_that_have_a_number():
    assert levels(TABLE) == ["sign", "ceiling", "far_low"], "far_low belongs to no reference"
    assert levels(TABLE, ["sign", "sign_low", "equal_sign"]) == ["sign"]
    assert levels(TABLE, []) == levels(TABLE[["order", "mean", "low", "high"]]) == []


def test_no_two_references_look_alike():
    every = [(mark.dashes, mark.marker) for mark in MARKS.values()] + list(LEFT)
    for looks in zip(*every, strict=True):
        assert len(set(looks)) == len(every)
    assert len({mark.words for mark in MARKS.values()}) == len(MARKS)


def test_references_of_other_names_have_styles_of_their_own():
    among = ["sign", "ours", "yours"]
    looks = [(style(name, among)["linestyle"], style(name, among)["marker"]) for name in among]
    assert len(set(looks)) == 3
    assert looks[0] == MARKS["sign"][1:]


@pytest.mark.parametrize(("name", "text"), [("sign", "sign: if signs were independent"), ("our_own", "our own")])
def test_references_are_called_as_the_measure_says_if_it_does(name, text):
    assert words(name) == words(name, {"other": "x"}) == text
    assert words(name, {name: "in other words"}) == "in other words"
