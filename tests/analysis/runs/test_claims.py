import numpy as np
import pandas as pd
import pytest
from hand_made import LATER, RATIO, estimate
from hand_made import claims as of_run
from scipy.stats import t

from analysis.claims import IMPOSSIBLE, MET, NOT_MET, UNDECIDED, Claim, as_table
from analysis.measured import Measured
from analysis.runs.claims import claims, counted
from analysis.runs.settings import in_order
from analysis.statistics.between import spread

BOTH = {"data": "digits", "model": "conv4"}


@pytest.fixture
def over(run_of):
    """over([claims of each run of the first setting], [of the second]): the claims over runs."""

    def make(*settings):
        runs = [run_of({"lr": lr}, BOTH, train=seed, tables={"claims": table})
                for lr, some in enumerate(settings) for seed, table in enumerate(some)]  # fmt: skip
        return claims(*in_order(runs))

    return make


def one(values, above=2, below=np.inf, sign=None, impossible=""):
    """A run's claims for each value, all on one quantity."""
    levels = {} if sign is None else {"sign": (sign, 0, 0)}
    return [as_table("mine", [Claim("a claim", "key", "a quantity", estimate(value, value - 1, value + 1, **levels),
                                    above, below, impossible)])[0] for value in values]  # fmt: skip


@pytest.mark.parametrize(("values", "above", "below", "expected"), [
    ([2.4, 2.5, 2.6], 2, np.inf, MET),
    ([1.0, 2.5, 3.6], 2, np.inf, UNDECIDED),  # the mean is above 2, the interval is not
    ([1.4, 1.5, 1.6], 2, np.inf, NOT_MET),
    ([2.4, 2.6], 2, np.inf, UNDECIDED),  # with two runs t is 12.7
    ([2.499, 2.5], 2, np.inf, MET),
    ([0.2, 0.21, 0.22], 0.13, 0.45, MET),
    ([0.2, 0.21, 0.5], 0.13, 0.45, UNDECIDED),
    ([0.6, 0.61, 0.62], 0.13, 0.45, NOT_MET),
    ([0.2, 0.21, 0.5], np.nan, np.inf, ""),  # nothing is claimed
])  # fmt: skip
def test_runs_are_judged_together_by_the_interval_between_them(over, values, above, below, expected):
    row = over(one(values, above, below)).iloc[0]
    assert row["verdict"] == expected
    half = t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values))
    mean = np.mean(values)
    assert list(row[["mean", "low", "high"]]) == pytest.approx([mean, mean - half, mean + half])
    assert row["above"] == above or np.isnan(above)


def test_a_single_run_is_judged_as_by_itself(over):
    row = over(one([3.5])).iloc[0]
    assert list(row[["runs", "mean", "low", "high", "verdict"]]) == [1, 3.5, 2.5, 4.5, MET]


def test_each_reference_is_judged_by_the_excess_over_it_in_the_same_runs(over):
    """Each run lies above its own level, though the intervals of values and levels overlap."""
    tables = [one([value], sign=level)[0] for value, level in ((3, 2), (6, 4.9), (9, 7.95))]
    row = over(tables).iloc[0]
    assert (row["vs_sign"], row["sign"], row["sign_excess"]) == ("more", pytest.approx(14.85 / 3), pytest.approx(1.05))
    for level, expected in (([2.4, 2.5, 2.6], "equal"), ([2.39, 2.51, 2.6], "equal"), ([3.4, 3.5, 3.6], "less"),
                            ([2.4, 3.5, 1.6], "undecided")):  # fmt: skip
        tables = [one([value], sign=of)[0] for value, of in zip((2.4, 2.5, 2.6), level, strict=True)]
        assert over(tables).iloc[0]["vs_sign"] == expected


def test_each_claim_of_each_setting_has_its_mean_interval_and_counts(over):
    table = over([of_run(0.2), of_run(0.21), of_run(0.22, "undecided")], [of_run(0.3), of_run(0.31)])
    assert list(table["claim"]) == [RATIO, RATIO, LATER, LATER], "claim by claim"
    first, second = table.iloc[0], table.iloc[1]
    assert first["mean"] == pytest.approx(0.21)
    assert (first["runs"], first["verdict"], first["runs' verdicts"]) == (3, MET, "met in 2, undecided in 1")
    assert (second["runs"], second["verdict"], second["runs' verdicts"]) == (2, MET, "met in 2 of 2")
    assert list(table["noise"]) == ["", "", "could overturn 3 of 3", "could overturn 2 of 2"]
    assert list(table["lr"]) == [0, 1, 0, 1]


def test_a_run_without_a_number_does_not_count(over):
    row = over([of_run(level) for level in (0.2, 0.21, 0.22, np.inf)]).iloc[0]
    assert (row["runs"], row["verdict"]) == (3, MET), "as in the tables over runs"
    assert row["mean"] == pytest.approx(0.21)


def test_what_no_run_can_measure_is_not_measurable_and_says_why(over):
    never, some = one([3.5, 3.5], impossible="no curve falls"), one([3.5])
    row = over(never).iloc[0]
    assert (row["verdict"], row["why"], row["runs' verdicts"]) == (
        IMPOSSIBLE, "no curve falls", "not measurable in 2 of 2"
    )  # fmt: skip
    row = over([*never, *some]).iloc[0]
    assert (row["why"], row["runs' verdicts"]) == ("", "met in 1, not measurable in 2")


@pytest.mark.parametrize("same", [True, False])
def test_on_the_same_samples_the_interval_is_that_of_runs_and_samples(run_of, same):
    draw = np.random.default_rng(0)
    common, runs, values = draw.normal(size=20), [], []
    for seed in range(3):
        values.append(1 + common + 0.01 * draw.normal(size=20))
        measured = Measured({"x": values[-1]})
        table, pseudo = as_table("mine", [Claim("a claim", "key", "x", measured.estimate("x"), above=0)])
        kept = {"data": np.array("digits/test"), "index": np.arange(20) + (0 if same else seed)}
        kept |= {f"claims/{name}": array for name, array in pseudo.items()}
        runs.append(run_of({}, BOTH, train=seed, tables={"claims": table}, kept={"mine": kept}))
    row, values = claims(*in_order(runs)).iloc[0], np.array(values)[:, :, None]
    least = values.var(1, ddof=1).mean(0) / 20
    expected = spread(values.mean(1), values) if same else spread(values.mean(1), least=least)
    assert row["high"] - row["mean"] == pytest.approx(expected.half()[0])
    assert row["high"] - row["mean"] > 0.2, "the samples differ more than the runs do"


@pytest.mark.parametrize(("p", "less", "expected"), [
    (0.025, 0.99, MET), (0.026, 0.99, UNDECIDED), (0.5, 0.6, UNDECIDED), (0.99, 0.026, UNDECIDED),
    (0.99, 0.025, NOT_MET), (1.0, 1.0, UNDECIDED), (np.nan, np.nan, MET)
])  # fmt: skip
def test_an_exact_test_decides_where_there_is_one(over, p, less, expected):
    """Where all pairings share the same, both p are 1: that is not less."""
    tables = [table.assign(p=p, p_less=less) for table in one([2.4, 2.5, 2.6])]
    assert over(tables).iloc[0]["verdict"] == expected


def test_runs_without_claims_have_none(run_of):
    assert claims(*in_order([run_of({}, BOTH)])).empty


def test_tables_of_before_are_left_out(run_of):
    """They had other columns, and other verdicts."""
    older = of_run().rename(columns={"mean": "value"}).drop(columns=["key"])
    assert claims(*in_order([run_of({}, BOTH, train=seed, tables={"claims": older}) for seed in range(3)])).empty


def test_claims_that_some_runs_lack_are_of_the_others(over):
    table = over([of_run(0.2), pd.concat([of_run(0.22), *one([3])], ignore_index=True)])
    assert list(table["key"]) == ["ratio/paper", "accuracy/gain", "key"]
    assert list(table["runs"]) == [2, 2, 1]


def test_verdicts_are_counted_in_words():
    several = [NOT_MET, MET, NOT_MET, MET, UNDECIDED]
    assert counted(several) == "met in 2, undecided in 1, not met in 2"
    assert counted([UNDECIDED] * 2) == "undecided in 2 of 2"
    assert counted(["", ""]) == ""
