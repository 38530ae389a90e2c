import json
from dataclasses import replace

import numpy as np
import pytest

from analysis.runs.replicates import older, speaks_of, varied
from analysis.runs.settings import in_order

BOTH = {"data": "digits", "model": "conv4"}


def said(*runs):
    return speaks_of(*in_order(list(runs)))


@pytest.mark.parametrize(("seeds", "level", "same"), [
    (("train",), "other trainings from one pre-training, on the same samples",
     "seeds.data, seeds.pretrain and seeds.samples"),
    (("samples",), "other samples whose interactions are measured, of the same models",
     "seeds.data, seeds.pretrain and seeds.train"),
    (("pretrain", "train"), "other pre-trainings on the same data", "seeds.data and seeds.samples"),
    (("data", "pretrain", "samples", "train"), "everything made again, from the draw of the data on", ""),
])  # fmt: skip
def test_the_highest_level_that_varied_is_what_intervals_speak_of(run_of, seeds, level, same):
    text = said(*(run_of({}, BOTH, **dict.fromkeys(seeds, value)) for value in range(3)))
    assert text.startswith(f"What differs between the runs of a setting: {level} (")
    assert text.endswith(f"varied; the same in all: {same})." if same else "varied).")


def test_a_repetition_has_the_same_seeds(run_of):
    assert "the same once more, with the same seeds (repeat varied" in said(
        *(run_of({}, BOTH, repeat=word) for word in "ab")
    )


def test_one_run_of_each_setting_says_nothing_of_seeds(run_of):
    assert said(run_of({"n": 1}, BOTH, train=0), run_of({"n": 2}, BOTH, train=1)).startswith("Each setting has one run")


def test_settings_whose_runs_differ_in_other_seeds_are_told_apart(run_of):
    text = said(*(run_of({"n": n}, BOTH, **{"train" if n else "data": seed}) for n in (0, 1) for seed in (0, 1)))
    assert "not the same in all settings: everything made again" in text
    assert "; or other trainings" in text


DATA = "everything made again, from the draw of the data on"
START = "everything but the pre-training made again, from the draw of the data on"
SOURCE = "other pre-trainings, on the same samples of the target task"
SAMPLES = "other samples whose interactions are measured"


@pytest.mark.parametrize(("data", "start", "level", "idle"), [
    ("ab", "pq", DATA, ""), ("ab", None, DATA, ""), (None, "pq", DATA, ""),
    ("ab", "pp", START, "seeds.pretrain"), (None, "pp", START, "seeds.pretrain"),
    ("aa", "pq", SOURCE, ""), ("aa", None, "other pre-trainings on the same data", "seeds.data"),
    ("aa", "pp", SAMPLES, "seeds.data and seeds.pretrain"),
])  # fmt: skip
def test_a_seed_that_changes_nothing_does_not_count(run_of, tmp_path, data, start, level, idle):
    """data, start: what tells the target's samples and the weights of the two runs apart; None: not known."""
    runs = []
    for seed in (0, 1):
        kept = {"accuracy": {"data": np.array(f"folder-{data[seed]}/test")}} if data else {}
        made = run_of({}, BOTH, kept=kept, **dict.fromkeys(("data", "pretrain", "samples", "train"), seed))
        runs.append(replace(made, folder=tmp_path / str(seed)))
        runs[-1].folder.mkdir()
        found = {"pretrain": {"path": "", "digest": start[seed]}} if start else {}
        (runs[-1].folder / "results.json").write_text(json.dumps(found))
    text = said(*runs)
    assert text.startswith(f"What differs between the runs of a setting: {level} (")
    assert text.endswith(f"; {idle} varied, which changes nothing here)." if idle else "varied).")


def test_where_only_seeds_differ_that_change_nothing_runs_are_the_same(run_of):
    kept = {"accuracy": {"data": np.array("folder-a/test")}}
    text = said(*(run_of({}, BOTH, kept=kept, data=seed) for seed in (0, 1)))
    assert ": the same once more (seeds.data varied, which changes nothing here; the same in all:" in text


def test_seeds_that_follow_another_are_not_named(run_of):
    runs = [run_of({}, BOTH, data=seed) for seed in (0, 1, 2)]
    for run in runs:
        run.seeds["data.target.seed"] = run.seeds["seeds.data"]
        run.seeds["data.source.seed"] = 7 - run.seeds["seeds.data"]
    assert varied(runs) == ["seeds.data", "data.source.seed"]


def test_of_the_same_seeds_the_latest_run_counts(run_of):
    runs = [run_of({}, BOTH, finished=day, train=seed) for day in ("2026-02", "2026-03", "2026-01") for seed in (0, 1)]
    ordered, settings = in_order(runs)
    without = older(ordered, settings)
    assert set(without) == {run.folder for run in runs if run.finished != "2026-03"}
    assert str(runs[2].folder) in without[runs[0].folder]
