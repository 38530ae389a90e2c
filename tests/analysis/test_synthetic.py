"""The warning of synthetic data: by what the tasks that are read take, not by what stands beside them."""

import pytest

from analysis.synthetic import over_runs, warning

REAL = {"data.target._target_": "data.images.task", "data.target.files.synthetic": 0, "data.synthetic": 0}
SAID, TRIAL = "synthetic data: these numbers mean nothing", "a trial, as with debug=tiny (data.synthetic=2): "


@pytest.mark.parametrize(("settings", "expected"), [
    ({}, ""),
    ({"data.target.files.synthetic": 2}, SAID),
    ({"data.target.files.files.synthetic": 2}, SAID),  # a part of a data set
    ({"data.target.files.synthetic": "${data.synthetic}"}, ""),
    ({"data.target.files.synthetic": "${data.synthetic}", "data.synthetic": 2}, SAID),
    ({"data.source.files.synthetic": 2}, SAID),
    ({"data.source.files.synthetic": 2, "model.weights": "pretrain"}, SAID),
    ({"data.source.files.synthetic": 2, "model.weights": "scratch"}, ""),  # it is not read
    ({"data.synthetic": 2}, TRIAL + "these numbers mean nothing"),  # a task that comes with the program
])  # fmt: skip
def test_what_means_nothing_is_said(settings, expected):
    assert warning(REAL | settings) == expected


def test_over_runs_it_is_said_how_many_they_are():
    made = {"data.target.files.synthetic": 2}
    assert over_runs([REAL, REAL]) == ""
    assert over_runs([made, made]) == SAID
    assert over_runs([REAL, made, REAL]) == f"{SAID} (in 1 of 3 runs)"
