"""The answer to the title's question: each sentence says what its claim's interval says, and no more."""

import re
from dataclasses import replace
from math import nan

import pandas as pd
import pytest
from hand_made import estimate

from analysis.answer import answer
from analysis.claims import COUNTED, IMPOSSIBLE, MET, NOT_MET, SCALE, UNDECIDED, Claim, as_table, overall

GAIN = {MET: (0.045, 0.029, 0.061), NOT_MET: (-0.02, -0.03, -0.01), UNDECIDED: (0.01, -0.01, 0.03)}
SOONER = {MET: (3, 2, 3), NOT_MET: (-1, -2, 0), UNDECIDED: (1, 0, 2)}
BEYOND = {MET: (0.25, 0.14, 0.36), NOT_MET: (-0.2, -0.3, -0.1), UNDECIDED: (0.06, -0.03, 0.15)}
KNOWN = "Known of one run."


def told(*claims, orders=None):
    """The answer without what it is known of."""
    text = answer(as_table("mine", list(claims))[0], orders, KNOWN)
    assert text.endswith(KNOWN)
    return text.removesuffix(f" {KNOWN}")


def gain(verdict):
    impossible = "both never left" if verdict == IMPOSSIBLE else ""
    return Claim("better", "accuracy/gain", "", estimate(*GAIN.get(verdict, (0, 0, 0))), 0, impossible=impossible)


def sooner(verdict):
    impossible = "scratch never left" if verdict == IMPOSSIBLE else ""
    return Claim("sooner", "accuracy/sooner", "", estimate(*SOONER.get(verdict, (0, 0, 0))), 0, impossible=impossible)


def probe(verdict):
    return Claim("probe", "accuracy/over_probe", "", estimate(*GAIN.get(verdict, (nan,) * 3)), 0)


SHARE = Claim("what is preserved", "preserved/share", "", estimate(0.26, 0.24, 0.29), above=nan)


def beyond(name, verdict):
    return Claim(f"more than {name}", f"preserved/{name}", "", estimate(*BEYOND[verdict]), above=0)


def discarded(*numbers, equal=None):
    return Claim("twice", "discarded/all", "", estimate(*numbers, equal and estimate(*equal)), above=2)


def test_nothing_is_said_where_nothing_is_claimed():
    assert answer(as_table("mine", [Claim("own", "own/claim", "", estimate(1, 1, 1), 0)])[0], None, KNOWN) == ""


BETTER = "Fine-tuning is more accurate than training from scratch, by 4.5 points [2.9, 6.1]"
WORSE = "Fine-tuning is not more accurate than training from scratch (-2.0 points [-3.0, -1.0])"
OPEN = "Between fine-tuning and training from scratch no difference in accuracy is shown (+1.0 points [-1.0, 3.0])"


@pytest.mark.parametrize(("better", "faster", "expected"), [
    (MET, MET, f"{BETTER}, and it converges sooner, by 3 [2, 3] epochs."),
    (MET, UNDECIDED, f"{BETTER}; that it converges sooner is undecided."),
    (MET, NOT_MET, f"{BETTER}; that it converges sooner is not the case."),
    (MET, IMPOSSIBLE, f"{BETTER}."),
    (UNDECIDED, MET, f"{OPEN}, and fine-tuning converges sooner, by 3 [2, 3] epochs."),
    (UNDECIDED, UNDECIDED, f"{OPEN}; that fine-tuning converges sooner is undecided."),
    (NOT_MET, NOT_MET, f"{WORSE}; that it converges sooner is not the case."),
    (IMPOSSIBLE, IMPOSSIBLE, "Neither fine-tuning nor training from scratch left the most frequent class: there is "
                             "nothing to compare."),
])  # fmt: skip
def test_the_benefit_of_fine_tuning(better, faster, expected):
    assert told(gain(better), sooner(faster)) == expected


FEATURES = "linear probe on the frozen features"


@pytest.mark.parametrize(("verdict", "expected"), [
    (MET, f" It is also more accurate than a {FEATURES}, by 4.5 points [2.9, 6.1]."),
    (NOT_MET, f" A {FEATURES} is at least as accurate (-2.0 points [-3.0, -1.0] for fine-tuning)."),
    (UNDECIDED, f" From a {FEATURES} no difference is shown (+1.0 points [-1.0, 3.0])."),
    (IMPOSSIBLE, ""),
])  # fmt: skip
def test_what_the_frozen_features_are_worth(verdict, expected):
    assert told(gain(MET), probe(verdict)) == f"{BETTER}.{expected}"


@pytest.mark.parametrize("better", [UNDECIDED, NOT_MET])
def test_also_is_said_only_after_something_that_is_shown(better):
    assert "It is also" not in told(gain(better), probe(MET))
    assert "more accurate than a linear probe" in told(gain(better), probe(MET))


WHOLE = "Of the pre-trained model's strength (orders from 1 on) 26 % [24, 29] is preserved"


SURE = "(25 % [14, 36] of it)"
NOISY = "(25 % [14, 36] of it; up to about 10 % may only be scratch's noise)"


@pytest.mark.parametrize(("verdicts", "expected"), [
    ({}, "."),
    ({"sign": MET}, f": more than if effects were independent {SURE}."),
    ({"sign": MET, "task": UNDECIDED},
     f": more than if effects were independent {SURE}; from a model trained from scratch no difference is shown (+6 % "
     f"[-3, 15] of it)."),
    ({"task": NOT_MET}, ": not more than a model trained from scratch shares (-20 % [-30, -10] of it)."),
    ({"placement": MET, "sign": MET, "task": MET, "other": UNDECIDED},
     f": more than if effects were independent {SURE}, more than strengths alone would give {SURE}, more than a model "
     f"trained from scratch shares {NOISY}; from fine-tuning after another pre-training no difference is shown (+6 % "
     f"[-3, 15] of it)."),
])  # fmt: skip
def test_what_is_preserved_is_set_against_each_reference(verdicts, expected):
    assert told(SHARE, *(beyond(name, verdict) for name, verdict in verdicts.items())) == WHOLE + expected


@pytest.mark.parametrize(("equal", "expected"), [
    (MET, f": more than if effects were independent {SURE}."),
    (UNDECIDED, ": from independent effects no difference is shown (+25 % [14, 36] of it)."),
    (NOT_MET, f": whether more than if effects were independent {SCALE} (+25 % [14, 36] of it)."),
])  # fmt: skip
def test_what_is_preserved_is_only_more_if_it_is_so_at_equal_strengths(equal, expected):
    both = replace(beyond("sign", MET), result=estimate(*BEYOND[MET], estimate(*BEYOND[equal])))
    assert told(SHARE, both) == WHOLE + expected


def test_a_single_order_is_not_said_to_show_what_all_do():
    table = orders_table(sign_excess=[0.5] * 6, sign_low=[1] * 6, sign_high=[1] * 6)
    assert told(SHARE, beyond("sign", MET), orders=table[table["order"] < 2]).endswith(f"independent {SURE}.")


def test_what_rounds_to_0_has_no_minus():
    low = Claim("better", "accuracy/gain", "", estimate(-0.0002, -0.0004, -0.0001), 0)
    assert "(+0.0 points [0.0, 0.0])" in told(low)


def test_without_interactions_nothing_is_preserved_that_could_be_compared():
    empty = Claim("more than sign", "preserved/sign", "", estimate(nan, nan, nan), above=0)
    share = Claim("what is preserved", "preserved/share", "", estimate(nan, nan, nan), above=nan)
    assert told(gain(MET), share, empty, discarded(nan, nan, nan)) == told(gain(MET))
    assert told(SHARE, empty) == told(SHARE)


def orders_table(**columns):
    rows = {"order": [0, 1, 2, 3, 4, 1], "quantity": ["preserved"] * 5 + ["new"]}
    return pd.DataFrame(rows | {name: values for name, values in columns.items()})


@pytest.mark.parametrize(("low", "words"), [
    ([1, 1, 1, -1, -1, 1], "; orders 1 and 2 show it by themselves"),
    ([1, -1, -1, -1, 1, 1], "; order 4 shows it by itself"),
    ([1, -1, -1, -1, -1, 1], "; no order shows it by itself"),
    ([-1, 1, 1, 1, -1, 1], "; orders 1 to 3 show it by themselves"),
    ([-1, 1, -1, 1, 1, -1], "; orders 1, 3 and 4 show it by themselves"),
])  # fmt: skip
def test_the_orders_are_named_at_which_more_is_preserved(low, words):
    table = orders_table(sign_excess=[0.5] * 6, sign_low=low, sign_high=[1] * 6)
    assert f"(25 % [14, 36] of it{words})" in told(SHARE, beyond("sign", MET), orders=table)


def test_over_runs_the_orders_are_those_whose_p_values_hold_together():
    table = orders_table(sign_excess=[0.5, 0.5, -0.5, 0.5, 0.5, 0.5], sign_low=[-1] * 6, sign_high=[1] * 6,
                         sign_p=[0, 0.04, 0.01, 0.06, nan, 0])  # fmt: skip
    assert "(25 % [14, 36] of it; order 1 shows it by itself)" in told(SHARE, beyond("sign", MET), orders=table)


@pytest.mark.parametrize(("numbers", "equal", "expected"), [
    ((2.83, 2.5, 3.2), None, "met, 2.8 [2.5, 3.2]."),
    ((2.1, 1.9, 2.3), None, "undecided, 2.1 [1.9, 2.3]."),
    ((1.2, 1.1, 1.3), None, "not met, 1.2 [1.1, 1.3]."),
    ((2.83, 2.5, 3.2), (2.4, 2.2, 2.7), "met, 2.8 [2.5, 3.2]. At equal strengths 2.4 [2.2, 2.7]."),
    ((2.83, 2.5, 3.2), (1.37, 1.2, 1.5), 
     f"{SCALE}: as measured 2.8 [2.5, 3.2], met; at equal strengths 1.4 [1.2, 1.5], not met."),
    ((8.0, 3.6, 18), (3.8, 1.9, 7.3),
     "undecided: as measured 8 [3.6, 18], met; at equal strengths 3.8 [1.9, 7.3], undecided."),
    ((2.1, 1.9, 2.3), (3.8, 2.9, 7.3), "undecided, 2.1 [1.9, 2.3]. At equal strengths 3.8 [2.9, 7.3]."),
])  # fmt: skip
def test_how_much_is_discarded_and_whether_the_probe_decides_it(numbers, equal, expected):
    assert told(discarded(*numbers, equal=equal)) == f"Discards more than twice what it preserves: {expected}"


def test_the_paragraph_has_the_verdict_of_the_table_of_claims():
    ways = [discarded(8.0, 3.6, 18), Claim("twice", "discarded/some", "", estimate(1.2, 1.1, 1.3), above=2)]
    assert overall(as_table("mine", ways)[0]) == COUNTED
    assert told(*ways).endswith(f": {COUNTED}: over all subsets 8 [3.6, 18], met.")


def recovered(**levels):
    return Claim("little", "ratio/weighted", "", estimate(0.47, 0.44, 0.5, **levels), 0.13, 0.45)


SCALED = Claim("part", "ratio/weighted/scale", "", estimate(0.61, 0.5, 0.7), above=nan)


def test_what_scratch_recovers_is_set_between_floor_and_ceiling():
    levels = {"placement": (0.2, 0, 1), "sign": (0.27, 0, 1), "ceiling": (0.59, -1, 0)}
    text = "Of what is preserved, by strength, training from scratch recovers 0.47 [0.44, 0.5]"
    would = f"{text}; it would be 0.20 by strengths alone, 0.27 with independent effects, 0.59 by a second fine-tuning"
    assert told(recovered()) == f"{text}."
    assert told(recovered(**levels)) == f"{would}."
    assert told(recovered(**levels), SCALED) == f"{would}, which is 0.61 [0.5, 0.7] of the way from sign to ceiling."


STATED = re.compile(r"more than (?!twice)|by [\d.]+|converges sooner, by|is more accurate")


def test_nothing_that_is_undecided_is_stated_as_a_fact():
    claims = [gain(UNDECIDED), sooner(UNDECIDED), probe(UNDECIDED), SHARE,
              *(beyond(name, UNDECIDED) for name in ("sign", "placement", "task", "other")),
              discarded(2.1, 1.9, 2.3)]  # fmt: skip
    orders = orders_table(sign_excess=[0.5] * 6, sign_low=[1] * 6, sign_high=[1] * 6)
    text = told(*claims, orders=orders)
    assert not STATED.search(text), text
    assert text.count("no difference") == 6
    assert text.count("undecided") == 2
    shown = (gain(MET), sooner(MET), probe(MET), SHARE, beyond("sign", MET))
    assert len(STATED.findall(told(*shown))) >= 4, "what is sure is stated"
    for claim, words in ((gain(UNDECIDED), "accurate than training"), (sooner(UNDECIDED), "converges sooner, by"),
                         (probe(UNDECIDED), "is also more"), (beyond("sign", UNDECIDED), "more than if")):  # fmt: skip
        others = [other for other in shown if other.key != claim.key]
        assert words not in told(claim, *others)


def test_intervals_are_those_of_the_claims_over_runs_as_well():
    """A summary's claims have further columns, and a run's may lack those at equal strengths."""
    table = as_table("mine", [gain(MET), recovered()])[0].assign(runs=3, setting="lr=1")
    assert answer(table, None, "") == answer(table.drop(columns=["runs", "setting"]), None, "")
