"""What a value may be, and in which words that is said."""

from typing import Any

import pytest
from omegaconf import OmegaConf

from conf.allowed import Character, Choice, Flag, Kind, Number, Place, Text, shown
from conf.errors import BadInput
from conf.nested import Described, Epochs, Fields, Listed, Paths, PerChannel, Several

SIZES = Fields({"train": Number(1, whole=True), "tokens": Flag()}, needed=("train",))


@pytest.mark.parametrize(("kind", "expected"), [
    (Number(0, 20), "a number from 0 to 20"),
    (Number(2), "a number of at least 2"),
    (Number(0, without=(0,)), "a number above 0"),
    (Number(0, 1, without=(0,)), "a number above 0 and up to 1"),
    (Number(0, 1, without=(0, 1)), "a number above 0 and below 1"),
    (Number(0, 20).typed(int), "a whole number from 0 to 20"),
    (Number(0, 20).typed(int | None), "null or a whole number from 0 to 20"),
    (Number(1, whole=True, words=("last",)), "last or a whole number of at least 1"),
    (Text("a word", words=("auto",), null=True), "auto, null or a word"),
    (Choice(("a", "b", "c")), "a, b or c"),
    (Several(("a", "b")), "a list of at least one of a, b, each once"),
    (Epochs(), "all or a list of epochs such as [0, 1, 5]"),
    (Flag(), "true or false"),
    (PerChannel(Number(0, without=(0,))), "a number above 0, or a list of three for red, green and blue"),
    (SIZES, "a mapping such as {train: ..., tokens: ...}"),
])  # fmt: skip
def test_a_kind_says_what_it_expects(kind: Kind, expected: str) -> None:
    assert kind.expected == expected
    with pytest.raises(BadInput) as refused:
        kind.check("some.key", ["", ""])
    assert str(refused.value) == f"some.key=['', ''] is not allowed: {expected} is expected"


@pytest.mark.parametrize(("kind", "allowed", "others"), [
    (Number(0, 20), [0, 20, 0.5], [-1, 20.1, True, "1", None, float("nan"), [1]]),
    (Number(0, 1, without=(0, 1)), [0.5], [0, 1, 0.0, 1.0]),
    (Number(0), [10**30], [float("inf"), -1]),
    (Number(0).typed(int), [3], [3.0, True]),
    (Number(0).typed(Any), [3.5], [None]),
    (Number(1, words=("last",)), ["last", 1], ["first", ["last"], 0]),
    (Number(1, null=True), [None, 1], [0, "null"]),
    (Flag(), [True, False], [0, 1, "true", None]),
    (Text(), ["a", "ä b"], ["", " ", "a\nb", "a\0b", 5, None, "x" * 5000]),
    (Place(), ["/a/~b", "a"], ["~/a", "~", ""]),
    (Character(words=("\\t",)), [",", "\t", "\\t"], ["", "::", '"', "\n", 5]),
    (Choice(("a", 16)), ["a", 16], ["b", "", 17, True, None, ["a"]]),
    (Several(("a", "b")), [["a"], ["b", "a"]], [[], "a", ["a", "a"], ["c"], None, [["a"]]]),
    (Epochs(), ["all", [0], [5, 0, 5]], [[], "some", 3, [-1], [1.5], ["all"], [True], None]),
    (Paths(), ["a.pt", ["a.pt", "b.pt"]], ["", [], [""], 5, ["a", 5], {"a": "b"}, None]),
    (Listed(Text()), [["a"]], ["a", []]),
    (PerChannel(Number(0, without=(0,))), [0.5, [1, 2, 3]], [0, [1, 2], [1, 2, 0], "a", [[1], 2, 3]]),
    (SIZES, [{"train": 1}, {"train": 1, "tokens": True}], [{}, {"tokens": True}, {"train": 1, "more": 1}]),
    (Described(bare=True), [{"_target_": "a.b"}, {"c": 1}], [{"_target_": 5}, "a.b", None]),
    (Described(), [{"_target_": "a.b", "c": 1}], [{}, {"_target_": ""}, {"_target_": 5}, "a.b", None]),
])  # fmt: skip
def test_a_kind_allows_what_it_says_and_no_more(kind: Kind, allowed: list, others: list) -> None:
    for value in allowed:
        kind.check("key", value)
        kind.check("key", OmegaConf.create({"key": value}).key)
    for value in others:
        with pytest.raises(BadInput, match=r"^key[.a-z]*=.* is not allowed: .* is expected$"):
            kind.check("key", value)


def test_a_part_of_a_mapping_is_named_by_its_path() -> None:
    with pytest.raises(
        BadInput, match=r"^data\.size\.train=0 is not allowed: a whole number of at least 1 is expected$"
    ):
        SIZES.check("data.size", {"train": 0})
    elsewhere = Fields({"size": Number(1)}, ("size",), lacking="no size: choose another model", at="model.input")
    with pytest.raises(BadInput, match=r"^model\.input\.size=0 is not allowed: "):
        elsewhere.check("data.target.input", {"size": 0})
    with pytest.raises(BadInput, match=r"^no size: choose another model$"):
        elsewhere.check("data.target.input", {"tokenizer": 0})


@pytest.mark.parametrize(("value", "text"), [
    (None, "null"), (True, "true"), ("", "''"), ("a b", "a b"), ("a\nb", r"'a\nb'"), ([1, None, "a"], "[1, null, a]"),
    ({"a": [True]}, "{a: [true]}"), (OmegaConf.create([1, 2]), "[1, 2]"), ("x" * 300, "x" * 200 + "..."),
])  # fmt: skip
def test_a_value_is_shown_in_one_line_as_it_is_typed(value: object, text: str) -> None:
    assert shown(value) == text
