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
