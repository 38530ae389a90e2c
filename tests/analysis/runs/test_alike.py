"""Measures of one name that are not the same measure are not set side by side."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from analysis.runs.alike import alike
from analysis.runs.found import Run

CLAIMS = pd.DataFrame({"measure": ["ratio", "strength"], "claim": ["one", "other"]})


@pytest.fixture
def runs() -> list[Run]:
    tables = {"ratio": pd.DataFrame({"mean": [1]}), "strength": pd.DataFrame({"mean": [2]}), "claims": CLAIMS}
    about = {"ratio": {"digest": "a"}, "strength": {"digest": "b"}}
    return [Run(Path(f"run{at}"), "digits", {}, {}, None, str(at), f"2026-01-0{at + 1}", tables, about)
            for at in range(3)]  # fmt: skip


def test_the_same_measures_are_left_as_they_are(runs):
    assert alike(runs) == (runs, [])


@pytest.mark.parametrize("other", [0, 2])
def test_what_most_runs_have_is_kept(runs, other):
    runs[other] = replace(runs[other], about=runs[other].about | {"strength": {"digest": "changed"}})
    kept, lines = alike(runs)
    assert lines == [f"strength of run{other}: it is another measure there, or has other code"]
    assert ["strength" in run.tables for run in kept] == [at != other for at in range(3)]
    assert list(kept[other].tables["claims"]["claim"]) == ["one"]
    assert [len(run.tables["claims"]) for run in kept] == [1 + (at != other) for at in range(3)]


def test_of_as_many_of_each_the_latest_is_kept(runs):
    runs = [replace(run, about=run.about | {"ratio": {"digest": str(at)}}) for at, run in enumerate(runs)]
    kept, lines = alike(runs)
    assert ["ratio" in run.tables for run in kept] == [False, False, True]
    assert len(lines) == 2
