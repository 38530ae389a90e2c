"""Whether models that preserve more gain more, over runs whose claims are made by hand."""

import numpy as np
import pandas as pd
import pytest

from analysis.runs.benefit import ARM, Benefit, benefit, caption, line, place, quantities
from analysis.runs.settings import in_order
from analysis.statistics.slope import slope

ARMS = ("nothing", "moments", "shuffled", 1, 2, 3, "all")
ABOVE = {arm: 0.01 * at for at, arm in enumerate(ARMS)}


def claims_of(gain: float, excess: float) -> pd.DataFrame:
    rows = [("preserved/task", excess), ("discarded/all", 2.7), ("accuracy/gain", gain), ("accuracy/sooner", 3.0)]
    return pd.DataFrame(rows, columns=["key", "mean"])


@pytest.fixture
def found(run_of):
    """found(gain, excess, arms=..., seeds=..., **settings): gain(arm, seed) and excess(arm, seed) are numbers."""

    def make(gain, excess, arms=ARMS, seeds=range(4), leave_out=(), **settings):
        runs = [
            run_of({ARM: arm} | {key: value(arm) for key, value in settings.items()}, {}, train=seed,
                   tables={"claims": claims_of(gain(arm, seed), excess(arm, seed))})
            for seed in seeds for arm in arms if (arm, seed) not in leave_out
        ]  # fmt: skip
        return benefit(*in_order(runs))

    return make


def noisy(arm, seed) -> float:
    return np.random.default_rng([ARMS.index(arm), seed]).normal(scale=0.003)


def test_gain_and_excess_are_read_by_their_keys():
    assert quantities(claims_of(0.04, 0.09)) == {"gain": 0.04, "excess": 0.09}
    assert quantities(claims_of(np.nan, 0.09)) is None
    assert quantities(claims_of(0.04, 0.09).iloc[:2]) is None
    assert quantities(pd.DataFrame({"claim": ["of an older table"], "value": [1.0]})) is None


def test_the_slope_is_that_of_the_runs_with_and_without_the_control(found):
    shown = found(lambda arm, seed: 0.5 * ABOVE[arm] + seed + noisy(arm, seed), lambda arm, _: ABOVE[arm])
    gain = np.array([[0.5 * ABOVE[arm] + seed + noisy(arm, seed) for arm in ARMS] for seed in range(4)])
    excess = np.tile(list(ABOVE.values()), (4, 1))
    for row, kept in zip(shown.over.to_dict("records"), (range(7), [0, 1, 3, 4, 5, 6]), strict=True):
        expected = slope(gain[:, list(kept)], excess[:, list(kept)])
        assert (row["count"], row["seeds"], row["verdict"]) == (len(kept), 4, "met")
        assert [row[name] for name in ("mean", "low", "high")] == pytest.approx(list(expected[:3]))
        assert row["p_arms"] == pytest.approx(expected.p_arms, abs=0.002)  # the arms are in another order
    assert list(shown.over["arms"]) == ["all", "without shuffled"]
    assert shown.by_run["arm"].unique().tolist() == list(map(str, ARMS)), "by how much they take over"
    assert sorted(shown.by_run["seed"].unique()) == ["0", "1", "2", "3"]


def test_the_control_can_not_make_the_claim_true(found):
    """Here it alone has a high excess and a high gain."""
    shown = found(lambda arm, seed: (arm == "shuffled") + noisy(arm, seed),
                  lambda arm, seed: (arm == "shuffled") + noisy(arm, seed + 50))  # fmt: skip
    assert shown.over["mean"].iloc[0] > 0.9
    assert shown.verdict == "undecided"


@pytest.mark.parametrize(("verdicts", "together"), [
    (["met", "met"], "met"), (["met", "undecided"], "undecided"), (["undecided", "met"], "undecided"),
    (["met", "not met"], "not met"), (["undecided", "not met"], "not met"), ([], "not measurable"),
])  # fmt: skip
def test_the_weakest_verdict_counts(verdicts, together):
    assert Benefit(pd.DataFrame(), pd.DataFrame({"verdict": verdicts})).verdict == together


def test_the_words_say_what_was_found(found):
    shown = found(lambda arm, seed: 0.5 * ABOVE[arm] + noisy(arm, seed), lambda arm, _: ABOVE[arm])
    said = line(shown)
    assert "\n" not in said
    assert said.startswith("models that preserve more gain more: met; slope of the accuracy gain on what is preserved")
    row = shown.over.iloc[0]
    assert f"within 4 seeds: {row['mean']:.2g} [{row['low']:.2g}, {row['high']:.2g}] over 7 arms, p " in said
    assert "over 6 arms (without shuffled), p " in said
    assert "Verdict: met" in caption(shown)


@pytest.mark.parametrize("changes", [{"arms": ("all", "nothing")}, {"seeds": [0]}])
def test_fewer_than_three_arms_or_two_seeds_say_nothing(found, changes):
    assert found(noisy, noisy, **changes) is None


def test_runs_that_differ_in_more_are_not_mixed(found):
    shown = found(noisy, noisy, **{"finetune.lr": lambda arm: 0.1 if arm == "all" else 0.2})
    assert line(shown) == (
        "models that preserve more gain more: not measurable; the runs differ in finetune.lr as well: summarise those "
        "of one setting alone"
    )


def test_runs_without_these_claims_are_named_so(found):
    shown = found(noisy, lambda *_: np.nan)
    assert "not measurable; no run has the rows accuracy/gain and preserved/task in its claims.csv" in line(shown)


def test_seeds_and_arms_that_are_not_complete_are_left_out(found):
    missing = [(1, seed) for seed in (1, 2, 3)] + [("all", 0)]
    shown = found(noisy, noisy, leave_out=missing)
    assert (shown.over["count"].iloc[0], shown.over["seeds"].iloc[0]) == (6, 3)
    few = found(noisy, noisy, seeds=range(2), leave_out=[(arm, seed) for seed in (0, 1) for arm in ARMS[seed::2]])
    assert "2 seeds or more are needed" in line(few)


def test_arms_stand_by_how_much_they_take_over():
    assert sorted(["all", "10", "2", "shuffled", "nothing", "moments"], key=place) == [
        "nothing", "moments", "shuffled", "2", "10", "all"
    ]  # fmt: skip
