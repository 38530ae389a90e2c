import numpy as np
import pandas as pd
import pytest
from hand_made import jaccard, ratio

from analysis.runs.settings import in_order
from analysis.runs.tables import SETTING, tables
from analysis.statistics.between import of_runs

BOTH = {"data": "digits", "model": "conv4"}


@pytest.fixture
def made(run_of):
    """made(levels of the first setting, levels of the second, measure): its tables over runs."""

    def of(*levels, measure=ratio, name="ratio"):
        runs = [run_of({"lr": lr}, BOTH, train=seed, tables={name: measure(level)})
                for lr, some in enumerate(levels) for seed, level in enumerate(some)]  # fmt: skip
        return tables(*in_order(runs))[name]

    return of


def test_the_mean_of_a_setting_has_students_interval_between_its_runs(made):
    levels = ([0.1, 0.2, 0.4, 0.3], [0.5, 0.9])
    over = made(*levels).over
    assert list(over) == [SETTING, "lr", "definition", "runs", "mean", "low", "high", "chance"]
    for at, some in enumerate(levels):
        row = over[(over["lr"] == at) & (over["definition"] == "paper")].squeeze()
        np.testing.assert_allclose(row[["mean", "low", "high"]].to_numpy(float), of_runs(np.array(some)))
        assert row["runs"] == len(some)
        assert row["chance"] == pytest.approx(0.2)
    assert len(over) == 6


def test_references_are_means_over_the_runs_whatever_they_are_called(run_of):
    of_run = [ratio().assign(chance=level, ceiling=2 * level, remark="a word") for level in (0.1, 0.3)]
    runs = [run_of({}, BOTH, train=seed, tables={"ratio": table}) for seed, table in enumerate(of_run)]
    table = tables(*in_order(runs))["ratio"]
    assert table.references == ["chance", "ceiling"], "a word is none"
    np.testing.assert_allclose(table.over[["chance", "ceiling"]], [[0.2, 0.4]] * 3)


def test_a_row_counts_the_runs_that_have_a_number_there(run_of):
    first, second, third = jaccard(epochs=3), jaccard(epochs=2), jaccard(epochs=3)
    third.loc[2, "mean"] = np.nan
    first.loc[1, "mean"] = np.inf
    runs = [
        run_of({}, BOTH, train=seed, tables={"jaccard": table}) for seed, table in enumerate((first, second, third))
    ]
    over = tables(*in_order(runs))["jaccard"].over.set_index(["model", "epoch"])
    assert over["runs"]["finetune"].to_list() == [3, 2, 1]
    assert over["runs"]["scratch"].to_list() == [3, 3, 2]
    assert np.isfinite(over["mean"]).all()


def test_every_runs_own_rows_stand_beside(made):
    table = made([0.1, 0.2], [0.3])
    assert list(table.by_run)[:4] == [SETTING, "run", "lr", "seeds.train"]
    assert list(table.by_run)[4:] == list(ratio())
    pd.testing.assert_frame_equal(table.by_run.iloc[3:6, 4:].reset_index(drop=True), ratio(0.2))


def test_a_run_without_the_measure_or_with_other_keys_is_named(run_of):
    of_run = [{"ratio": ratio()}, {"ratio": ratio().rename(columns={"definition": "kind"})}, {"jaccard": jaccard()}]
    runs = [run_of({}, BOTH, train=seed, tables=one) for seed, one in enumerate(of_run)]
    found = tables(*in_order(runs))
    assert found["ratio"].absent == runs[1:]
    assert set(found["ratio"].over["runs"]) == {1}
    assert found["jaccard"].absent == runs[:2]


def test_tables_that_are_no_estimates_are_no_measures(run_of):
    other = pd.DataFrame({"model": ["a"], "noise": [1.0]})
    assert not tables(*in_order([run_of({}, BOTH, tables={"noise": other, "empty": ratio().head(0)})]))
