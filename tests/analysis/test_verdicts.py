"""What a study says at the end: what its analysis has put into words."""

from dataclasses import replace
from math import nan

import pandas as pd
import pytest
from hand_made import claims, estimate

from analysis.claims import Claim, as_table, ordered
from analysis.told import claim_lines, counted, how_many, told
from analysis.verdicts import FILE, show_claims
from conf.errors import BadInput
from stages.checksums import listed
from stages.records import write_record

TWICE = Claim("Discards more than twice.", "all", "old / new", above=2,
              result=estimate(2.8, 2.5, 3.2, estimate(1.4, 1.2, 1.6), sign=(4.1, -2, -1)))  # fmt: skip
KEPT = Claim("What is kept", "share", "share", estimate(0.25, 0.2, 0.3, task=(0.2, -0.1, 0.2)), above=nan)
STEADIER = Claim("It is steadier.", "falls", "falls", estimate(0, 0, 0), above=0, impossible="no curve falls")
ALONE = Claim("It is little.", "ratio", "ratio", estimate(0.2, nan, nan), above=0.1, below=0.4)
SURE = replace(TWICE, key="some", quantity="some old / new", result=estimate(2.6, 2.4, 2.9))
OPEN = replace(SURE, result=estimate(2.3, 1.9, 2.7))
FEW = replace(SURE, key="few", result=estimate(1.6, 1.4, 1.9))


def lines(*claims, noise=()):
    return list(claim_lines(ordered(as_table("mine", list(claims), [claim in noise for claim in claims])[0])))


def test_each_claim_has_its_verdict_and_below_it_what_it_was_counted_by():
    assert lines(TWICE, OPEN, KEPT, STEADIER, ALONE) == [
        "Discards more than twice.: depends on the probe's scale",
        "    old / new: 2.8 [2.5, 3.2], met; at equal strengths 1.4 [1.2, 1.6], not met; sign 4.1 (less)",
        "    some old / new: 2.3 [1.9, 2.7], undecided",
        "What is kept",
        "    share: 0.25 [0.2, 0.3]; task 0.2 (undecided)",
        "It is steadier.: not measurable",
        "    falls: no curve falls",
        "It is little.: not measurable",
        "    ratio: 0.2, not measurable",
        "3 claims, each judged by itself with a 95 % interval: none is corrected for the others",
    ]


def test_ways_to_count_that_disagree_are_said_to():
    assert lines(replace(SURE, result=replace(TWICE.result, equal=None)), FEW)[0].endswith(
        ": depends on how it is counted"
    )
    assert lines(SURE, replace(OPEN, key="other"))[0].endswith(": met")
    assert lines(SURE, replace(SURE, key="other"))[0].endswith(": met")


def test_how_many_claims_there_are_is_said_without_those_that_claim_nothing():
    table = as_table("mine", [TWICE, OPEN, KEPT, STEADIER])[0]
    assert how_many(table).startswith("2 claims, each judged by itself")
    assert how_many(as_table("mine", [TWICE, KEPT])[0]) == "1 claim, judged with a 95 % interval"


def test_what_noise_could_overturn_is_said_below():
    found = lines(SURE, KEPT, noise=[SURE])
    assert found[2] == "    numerical noise could overturn this"
    assert sum("noise" in line for line in found) == 1


def test_words_are_the_same_from_a_table_that_was_written(tmp_path):
    """Empty words come back as NaN."""
    table = claims()
    table.to_csv(tmp_path / "claims.csv", index=False)
    assert list(claim_lines(pd.read_csv(tmp_path / "claims.csv"))) == list(claim_lines(table))


def test_the_answer_comes_first_then_claims_then_where_the_report_is(tmp_path, capsys):
    text = told(["word " * 40, "", "Second."], ["a claim: met", "    counted: 1"])
    first, rest = text.split("\n\nSecond.")
    assert first.split() == ["word"] * 40
    assert 90 < max(map(len, first.splitlines())) <= 110
    assert rest == "\n\na claim: met\n    counted: 1\n"
    (tmp_path / FILE).write_text(text)
    show_claims(tmp_path)
    assert capsys.readouterr().out == f"\n{text}\nreport: {tmp_path / 'report.html'}\n"


def test_a_long_line_goes_on_further_to_the_right_and_no_word_is_broken():
    text = told([], ["a claim: met", "    counted: " + 40 * "non-zero " + "x" * 150])
    first, *more = text.splitlines()[1:]
    assert first.startswith("    counted: non-zero")
    assert 125 < len(first) <= 140
    assert all(line.startswith(8 * " ") for line in more)
    assert " ".join(text.split()) == "a claim: met counted: " + 40 * "non-zero " + "x" * 150


def test_an_exact_test_is_told_with_its_p():
    table = as_table("mine", [SURE, KEPT])[0].assign(p=[1 / 24, nan])
    assert counted(table.iloc[0]) == (
        "some old / new: 2.6 [2.4, 2.9], met; exact p 0.042 over all pairings of the pre-trainings (five or more can "
        "decide)"
    )
    assert "exact" not in counted(table.iloc[1])


@pytest.mark.parametrize("written", [True, False])
def test_without_claims_only_the_report_is_named(tmp_path, capsys, written):
    assert told([""], []) == "\n"
    if written:
        (tmp_path / FILE).write_text(told([""], []))
    show_claims(tmp_path)
    assert capsys.readouterr().out.strip() == f"report: {tmp_path / 'report.html'}"


def test_words_that_have_changed_since_are_not_said(tmp_path):
    (tmp_path / FILE).write_text("what was found\n")
    write_record(tmp_path / "done.json", {"digest": "1", "files": listed(tmp_path)})
    (tmp_path / FILE).write_text("what was fouNd\n")
    with pytest.raises(BadInput, match=f"{FILE} is damaged"):
        show_claims(tmp_path)
