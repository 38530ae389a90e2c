import numpy as np
import pandas as pd
import pytest
from hand_made import LATER, RATIO
from hand_made import claims as of_run

from analysis.runs.claims import claims, counted, verdict
from analysis.runs.settings import in_order
from analysis.statistics.between import of_runs

BOTH = {"data": "digits", "model": "conv4"}


def rows(values, chances, above=None, below=None):
    return pd.DataFrame({"value": values, "chance": chances, "above": above, "below": below}, dtype=float)


@pytest.mark.parametrize(("table", "expected"), [
    (rows([2.4, 2.5, 2.6], 1.0, above=2), "holds"),
    (rows([1.0, 2.5, 3.6], 1.0, above=2), "fails"),  # the mean is above 2, the interval is not
    (rows([2.4, 2.5, 2.6], [2.4, 2.4, 2.7], above=2), "within chance"),
    (rows([3, 6, 9], [2, 4.9, 8], above=-5), "holds"),  # each is above its own chance, the intervals overlap
    (rows([2.4, 2.5, 2.6], np.nan, above=2), "holds"),  # there is no chance that could explain it
    (rows([-2.4, -2.5, -2.6], -1.0, below=-2), "holds"),
    (rows([-2.4, -2.5, -2.6], -2.5, below=-2), "within chance"),
    (rows([-2.4, -2.5, -0.6], -1.0, below=-2), "fails"),
    (rows([2, 2, 2], 0, above=0), ""),  # they share what was measured: nothing is said of another run
    (rows([0.2, 0.21, 0.22], 0.1, above=0.13, below=0.45), "holds"),
    (rows([0.2, 0.21, 0.22], 0.3, above=0.13, below=0.45), "within chance"),
    (rows([0.2, 0.21, 0.5], 0.1, above=0.13, below=0.45), "fails"),
    (rows([0.2, 0.21, 0.5], 0.1), ""),  # an older table does not say what is claimed
])  # fmt: skip
def test_runs_are_judged_together_as_one_is_by_itself(table, expected):
    assert verdict(table) == expected


@pytest.fixture
def over(run_of):
    def make(*settings):
        runs = [run_of({"lr": lr}, BOTH, train=seed, tables={"claims": of_run(*each)})
                for lr, some in enumerate(settings) for seed, each in enumerate(some)]  # fmt: skip
        return claims(*in_order(runs))

    return make


def test_each_claim_of_each_setting_has_its_mean_interval_and_counts(over):
    table = over([(0.2, "holds"), (0.21, "holds"), (0.22, "fails")], [(0.3, "holds"), (0.31, "holds")])
    assert list(table["claim"]) == [RATIO, RATIO, LATER, LATER], "claim by claim"
    first, second = table.iloc[0], table.iloc[1]
    np.testing.assert_allclose(first[["value", "low", "high"]].to_numpy(float), of_runs(np.array([0.2, 0.21, 0.22])))
    assert (first["runs"], first["verdict"], first["runs' verdicts"]) == (3, "holds", "holds in 2, fails in 1")
    assert (second["runs"], second["verdict"], second["runs' verdicts"]) == (2, "", "holds in 2 of 2")
    assert np.isnan(second["low"])
    assert list(table["noise"]) == ["", "", "could overturn 3 of 3", "could overturn 2 of 2"]


def test_a_run_without_a_number_leaves_no_verdict(over):
    row = over([(0.2,), (0.21,), (0.22,), (np.inf,)]).iloc[0]
    assert (row["runs"], row["verdict"]) == (3, ""), "as in the tables over runs"
    assert row["value"] == pytest.approx(0.21)


def test_tables_of_before_are_counted(run_of):
    older = of_run().drop(columns=["measure", "above", "below", "noise"])
    table = claims(*in_order([run_of({}, BOTH, train=seed, tables={"claims": older}) for seed in range(3)]))
    assert list(table["verdict"]) == ["", ""]
    assert list(table["runs' verdicts"]) == ["holds in 3 of 3", "fails in 3 of 3"]


def test_runs_without_claims_have_none(run_of):
    assert claims(*in_order([run_of({}, BOTH)])).empty


def test_verdicts_are_counted_in_words():
    several = ["fails", "holds", "fails", "holds", "within chance"]
    assert counted(several) == "holds in 2, within chance in 1, fails in 2"
    assert counted(["within chance"] * 2) == "within chance in 2 of 2"
