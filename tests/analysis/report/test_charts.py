import hand_made
import numpy as np
import pandas as pd
import pytest

from analysis.drawing.style import COLOURS
from analysis.report.charts import MOST_ROWS, chart, colours
from conf.measures import ours


def shape(table):
    """The axis, and what tells lines apart."""
    drawn = chart(table)
    keys = [key["name"] for key in drawn["keys"]]
    return keys[drawn["axis"]], None if drawn["line"] is None else keys[drawn["line"]]


def of(columns, rows):
    return pd.DataFrame(rows, columns=columns).assign(mean=0.5, low=0.4, high=0.6)


def test_epochs_and_orders_are_the_axis_and_models_or_parts_the_lines():
    assert shape(hand_made.jaccard()) == ("epoch", "model")
    assert shape(hand_made.decomposition()) == ("order", "quantity")
    assert shape(hand_made.ratio()) == ("definition", None)


def test_quantities_are_lines_only_if_there_is_nothing_else():
    rows = [(quantity, model, epoch) for quantity in ("accuracy", "loss") for model in "ab" for epoch in (0, 1)]
    assert shape(of(["quantity", "model", "epoch"], rows)) == ("epoch", "model")
    rows = [(quantity, layer, epoch) for quantity in ("cka", "p") for layer in range(30) for epoch in (0, 1)]
    assert shape(of(["quantity", "layer", "epoch"], rows)) == ("epoch", None), "too many layers: one is chosen"


def test_over_runs_settings_are_lines_or_the_axis():
    rows = [(rate, model, epoch, 3) for rate in (0.1, 0.2) for model in "ab" for epoch in (0, 1)]
    table = of(["finetune.lr", "model", "epoch", "runs"], rows)
    assert shape(table) == ("epoch", "finetune.lr")
    drawn = chart(table)
    assert [key["name"] for key in drawn["keys"]] == ["finetune.lr", "model", "epoch"], "runs is no key"
    assert drawn["runs"]
    assert {row[-1] for row in drawn["rows"]} == {3.0}
    table = of(["pretrain.epochs", "definition"], [(epochs, name) for epochs in (1, 5, 9) for name in "ab"])
    assert shape(table) == ("pretrain.epochs", "definition")


def test_rows_hold_all_numbers_of_the_table():
    table = hand_made.jaccard()
    drawn = chart(table)
    model, epoch = drawn["keys"]
    for row, (_, expected) in zip(drawn["rows"], table.iterrows(), strict=True):
        assert model["values"][row[0]] == {"finetune": "fine-tuned", "scratch": "from scratch"}[expected["model"]]
        assert epoch["numbers"][row[1]] == expected["epoch"]
        assert row[2:] == pytest.approx(expected[["mean", "low", "high", "sign"]].tolist(), rel=1e-5)


def test_a_number_that_is_missing_is_none():
    table = hand_made.ratio()
    table.loc[0, ["low", "sign"]] = np.nan
    assert chart(table)["rows"][0][1:] == [0.3, None, pytest.approx(0.32), None]


def test_words_of_the_measure_are_used():
    drawn = chart(hand_made.ratio(), "Share", {"paper": "as in\nthe paper", "sign": "by sign"})
    assert drawn["title"] == "Share"
    assert drawn["keys"][0]["values"][0] == "as in the paper"
    assert drawn["levels"][0]["words"] == "by sign"


def test_names_of_keys_have_the_words_of_the_measure_too():
    table = of(["first_one", "epoch"], [("pretrain", 0), ("finetune", 1)])
    assert [key["words"] for key in chart(table)["keys"]] == ["first one", "epoch"]
    assert [key["words"] for key in chart(table, labels={"first_one": "one model"})["keys"]] == ["one model", "epoch"]


def test_references_are_told_apart_by_their_dashes():
    table = hand_made.ratio().assign(placement=0.1, mine=0.2)
    drawn = chart(table)
    assert drawn["levels"][0]["words"] == "sign: if signs were independent"
    assert len({level["dashes"] for level in drawn["levels"]}) == 3


def test_colours_are_those_of_the_figures():
    light = colours()["light"]
    assert COLOURS.items() <= light.items()
    quantity = next(key for key in chart(hand_made.decomposition())["keys"] if key["name"] == "quantity")
    assert set(quantity["colours"]) == {"pretrain", "finetune", "preserved", "discarded", "new"}
    assert set(chart(hand_made.ratio())["keys"][0]["colours"]) <= light.keys()


def test_parts_per_order_have_a_slider():
    assert chart(hand_made.decomposition())["parts"]
    assert not chart(hand_made.jaccard())["parts"]


@pytest.mark.parametrize(
    "table",
    [
        pd.DataFrame({"order": [0, 1], "mean": [1.0, 2.0]}),
        hand_made.ratio().head(1),
        hand_made.ratio().assign(why="words"),
        hand_made.ratio()[["mean", "low", "high"]],
        of(["claim"], [("a long sentence " * 9,), ("another one",)]),
        of(["epoch"], [(epoch,) for epoch in range(MOST_ROWS + 1)]),
        of(["model"], [("a",), ("a",)]),
    ],
    ids=["no interval", "one row", "words after the numbers", "no keys", "sentences", "too many", "nothing varies"],
)
def test_other_tables_have_no_chart(table):
    assert chart(table) is None


@pytest.mark.parametrize("name", sorted(set(ours()) & set(vars(hand_made))))
def test_every_value_of_a_key_is_in_some_row(name):
    drawn = chart(getattr(hand_made, name)())
    for at, key in enumerate(drawn["keys"]):
        assert {row[at] for row in drawn["rows"]} == set(range(len(key["values"])))
