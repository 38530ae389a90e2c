"""Simulated truth: intervals contain it, what is not there is not found, and what must be exact is.

A small part of benchmarks/statistics.py, whose bounds are widened here by what so few draws leave open.
"""

from dataclasses import replace

import numpy as np
import pytest

from analysis.claims import KEYS, as_table
from analysis.measures import decomposition, jaccard, ratio
from analysis.runs.scale import on_scale_rows
from analysis.runs.tables import Rows, over_runs
from analysis.study import Study
from benchmarks import statistics
from benchmarks.worlds import World, study

SETS, STUDIES = 120, 120  # a share of .95 or .05 of so many has a standard error of .02
RANGE = ["above", "below"]


@pytest.fixture
def draw():
    return np.random.default_rng(0)


@pytest.fixture
def run(draw):
    return next(World(kept=0.6, found=0.3).runs(1, 12, draw))


@pytest.mark.parametrize(("scale", "runs"), [(0.5, (1, 3)), (1.5, (1,))])
def test_intervals_contain_the_truth(scale, runs, monkeypatch):
    monkeypatch.setattr(statistics, "OF_TRUTH", {"sets": 40, "samples": 300})
    found = statistics.coverage(scale, samples=(20,), runs=runs, sets=SETS).set_index(["quantity", "runs"])[20]
    assert len(found) == 9 * (2 * len(runs) - 1)
    free = [] if scale < 1.5 else ["mean strengths", "ratio, weighted"]
    assert found.drop(free, level="quantity").min() >= 90 - 100 * 2 * np.sqrt(0.9 * 0.1 / SETS)
    assert found.xs("1", level="runs").mean() < 98  # not by intervals that are far too wide


@pytest.mark.parametrize(("reference", "world"), [("sign", statistics.NOTHING["both"]), ("task", statistics.ALIKE)])
def test_what_is_not_there_is_not_found(reference, world):
    found = statistics.found_more("", reference, "", world, samples=(20,), studies=STUDIES)
    assert found[20].max() <= 7 + 100 * 2 * np.sqrt(0.07 * 0.93 / STUDIES)


def test_placement_finds_what_is_not_there():
    """So that the test above would see it: models that only look at the same patches."""
    found = statistics.found_more("", "placement", "", statistics.NOTHING["both"], samples=(50,), studies=40)
    assert found[50].max() > 30


def test_what_is_there_is_found():
    found = statistics.found_more("", "sign", "", World(same=0.2), samples=(50,), studies=40)
    in_total, at_some_order = found[50]
    assert in_total > 90
    assert at_some_order > 60


def test_scratch_in_the_place_of_fine_tuned_leaves_no_excess_over_task(run):
    same = study(run.final("pretrain"), run.final("scratch"), run.final("scratch"))
    measured = decomposition.samples(same)
    (claim,) = (each for each in decomposition.claims(measured) if each.key == "preserved/task")
    strengths = measured.strength("preserved")
    for of in (strengths.excess["task"], strengths.equal.excess["task"], claim.result.own, claim.result.equal.own):
        np.testing.assert_array_equal(of[:3], np.zeros_like(of[:3]))
    assert (strengths.excess["sign"].value != 0).any()


def test_at_equal_strengths_nothing_depends_on_the_strength_of_the_probe(run):
    pretrain, finetune, scratch = (run.final(model) for model in ("pretrain", "finetune", "scratch"))
    for measure in (decomposition, ratio, jaccard):
        one, other = (measure.samples(study(factor * pretrain, finetune, scratch)) for factor in (1, 3))
        for name, array in one.equal.arrays().items():
            np.testing.assert_allclose(other.equal.arrays()[name], array, rtol=1e-9, atol=1e-12)
        changed = [name for name, array in one.arrays().items() if not np.allclose(other.arrays()[name], array)]
        assert bool(changed) == (measure is not jaccard)


def claims_of(run: Study, siblings: list[Study]) -> Rows:
    measured = ratio.samples(run)
    table, pseudo = as_table("ratio", ratio.claims(measured.with_references(ratio.across(run, siblings, []))))
    return Rows(table, pseudo, b"the same samples")


def scaled(runs: list[Study]):
    rows = [claims_of(run, [each for each in runs if each is not run]) for run in runs]
    over = over_runs([replace(each, table=each.table.drop(columns=RANGE)) for each in rows], KEYS)
    return on_scale_rows(rows, over).set_index("key").loc["ratio/weighted/scale"]


def test_another_fine_tuning_in_the_place_of_scratch_is_at_the_ceiling(draw):
    made = list(World(kept=0.8).runs(8, 50, draw))
    again = [study(one.final("pretrain"), one.final("finetune"), other.final("finetune"))
             for one, other in zip(made[:4], made[4:], strict=True)]  # fmt: skip
    found = scaled(again)
    for prefix in ("", "equal_"):
        low, middle, high = (found[f"{prefix}{name}"] for name in ("low", "mean", "high"))
        assert low <= 1 <= high
        assert middle == pytest.approx(1, abs=0.05)
    own = scaled(made)  # scratch shares nothing
    assert own["low"] <= 0.1
    assert own["high"] < 0.3


def test_the_fine_tuning_that_gives_the_ceiling_is_exactly_there(draw):
    first, second = World(kept=0.95, own=0.05, scale=0.3).runs(2, 50, draw)
    swapped = [study(one.final("pretrain"), one.final("finetune"), other.final("finetune"))
               for one, other in ((first, second), (second, first))]  # fmt: skip
    found = scaled(swapped)
    assert [found[name] for name in ("mean", "low", "high", "equal_mean", "equal_low", "equal_high")] == [1] * 6


def test_equal_runs_leave_only_what_samples_leave(run):
    of = statistics.as_rows(statistics.per_sample(run, 1)[0], 12)
    crossed = over_runs([of] * 3, ["quantity", "set"])
    nested = over_runs([replace(of, of=bytes([number])) for number in range(3)], ["quantity", "set"])
    assert (nested["high"] > nested["low"]).all(), "equal by luck: other samples would give something else"
    np.testing.assert_allclose(crossed["mean"], of.table["mean"], rtol=1e-12)
    by_t = of.table["quantity"] != "mean strengths"  # one run's are by bootstrap
    np.testing.assert_allclose(crossed.loc[by_t, ["low", "high"]], of.table.loc[by_t, ["low", "high"]], rtol=1e-9)
    assert (crossed["high"] > crossed["low"]).all()


def test_worlds_are_what_they_say(draw):
    world = World(scale=0, salience=0, own=0, kept=0.6, found=0.2)
    made = next(world.runs(1, 2000, draw))
    pretrain, finetune, scratch = (made.final(model)[:, 1:-1] for model in ("pretrain", "finetune", "scratch"))
    for other, share in ((finetune, 0.6), (scratch, 0.2)):
        of_order = [np.corrcoef(pretrain[:, at], other[:, at])[0, 1] for at in range(pretrain.shape[1])]
        assert np.mean(of_order) == pytest.approx(share, abs=0.02)
    made = next(replace(world, same=0.3, kept=0).runs(1, 2000, draw))
    equal = np.isclose(made.final("pretrain"), made.final("finetune"))
    assert equal.mean() == pytest.approx(0.3, abs=0.01)
