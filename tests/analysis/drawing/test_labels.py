from itertools import pairwise

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from analysis.drawing.labels import (
    LABEL_SIZE,
    WORDS_LINES,
    WORDS_WIDTH,
    distinct,
    filled,
    subset_label,
    text_width,
    word_label,
)

WORDS = ["not", "good", "as", "utterly", "enjoyable", "and", "internationally", "lauded", "precursor", "if", "I", "saw"]


def test_labels_count_variables_from_the_lowest_bit():
    assert subset_label(0) == "∅"
    assert subset_label(0b1) == "{1}"
    assert subset_label(0b1001001) == "{1,4,7}"
    assert subset_label(2**20 - 1) == "{1–20} (20)"
    assert "".join(subset_label(0b11011011111111111011).split("\n")) == "{1,2,4–14,16,17,19,20} (17)"


def test_long_labels_differ_where_subsets_differ():
    rng = np.random.default_rng(0)
    indices = [int(index) for index in np.unique(rng.integers(0, 2**20, 3000))]
    assert len({subset_label(index) for index in indices}) == len(indices)


@pytest.mark.parametrize(("index", "label"), [
    (0, "∅"),
    (0b1, "{not}"),
    (0b11, "{not, good}"),
    (0b100000000010, "{good, saw}"),
    (0b1001011, "{not, good, utterly,\ninternationally}"),
    (0b101011011010, "7 words: 2,4,5,7,8,10,12"),
    (2**12 - 1, "12 words: 1–12"),
])  # fmt: skip
def test_words_name_a_subset_while_there_is_room(index, label):
    assert word_label(index, WORDS) == label


def test_a_word_that_is_too_wide_is_named_by_its_number():
    assert word_label(0b10, ["I", "W" * 20]) == "1 word: 2"
    assert word_label(0b11, ["I", "W" * 20]) == "2 words: 1,2"
    assert word_label(0b11011011011011011011, ["W" * 20] * 20) == "14 words: 1,2,4,5,7,8,10,11,\n13,14,16,17,19,20"


@pytest.mark.parametrize("words", [WORDS, ["good"] * 20, [str(i) for i in range(12)], ["W" * 20] * 20])
def test_no_two_subsets_of_words_share_a_label_and_all_have_room(words):
    drawn = np.random.default_rng(0).integers(0, 2 ** len(words), 300)
    indices = {*map(int, drawn), 0, 2 ** len(words) - 1, int("01011" * 4, 2) % 2 ** len(words)}
    labels = {word_label(index, distinct(words)) for index in indices}
    assert len(labels) == len(indices)
    lines = [label.split("\n") for label in labels]
    assert max(map(len, lines)) <= WORDS_LINES
    assert max(text_width(line, LABEL_SIZE) for two in lines for line in two) <= WORDS_WIDTH


def test_only_words_that_are_there_twice_carry_their_number():
    assert distinct(["good", "not", "good", "Good"]) == ["good₁", "not", "good₃", "Good"]
    assert distinct(["a"] * 12)[9:] == ["a₁₀", "a₁₁", "a₁₂"]


def test_lines_hold_all_words_in_order_and_no_more_than_fit():
    for limit in (100, 150, 400):
        lines = filled(WORDS, 12, limit, blank=10)
        assert [position for line in lines for position in line] == list(range(12))
        widths = [[text_width(WORDS[position], 12) for position in line] for line in lines]
        assert all(sum(line) + 10 * (len(line) - 1) <= limit for line in widths)
        for line, (following, *_) in pairwise(widths):
            assert sum(line) + 10 * len(line) + following > limit


def test_a_word_wider_than_a_line_has_one_of_its_own():
    assert filled(["a", "W" * 20, "b"], 12, 100, blank=5) == [[0], [1], [2]]
    assert filled([], 12, 100, blank=5) == []


@pytest.mark.parametrize("text", ["good", "internationalisation", "$x_1$", "хороший", "W" * 20])
def test_width_is_that_of_the_drawn_text(text):
    figure = Figure(dpi=150)
    FigureCanvasAgg(figure)
    drawn = figure.text(0, 0, text, fontsize=12, fontfamily="DejaVu Sans", parse_math=False)
    assert text_width(text, 12) == pytest.approx(drawn.get_window_extent().width * 72 / 150, rel=0.03)
