from itertools import pairwise

import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from analysis.drawing.labels import text_width
from analysis.drawing.sentence import BACKGROUND, LONGEST, PITCH, SIZE, Sentence, draw_sentence

WORDS = ["It", "'s", "not", "a", "good", "film", ",", "not", "at", "all", "."]


def drawn(sentence, width=2000.0):
    axes = Figure().subplots()
    draw_sentence(axes, sentence, width)
    return axes.texts


def test_variables_are_boxed_and_numbered_and_no_other_word():
    texts = drawn(Sentence(WORDS, [2, 4, 7]))
    words = [text for text in texts if text.get_fontweight() != "bold"]
    assert [text.get_text() for text in words] == WORDS
    assert [i for i, text in enumerate(words) if text.get_bbox_patch()] == [2, 4, 7]
    assert [i for i, text in enumerate(words) if to_rgb(text.get_color()) == (0, 0, 0)] == [2, 4, 7]
    assert {text.get_color() for i, text in enumerate(words) if i not in (2, 4, 7)} == {BACKGROUND}
    numbers = [text for text in texts if text.get_fontweight() == "bold"]
    assert [text.get_text() for text in numbers] == ["1", "2", "3"]
    for number, position in zip(numbers, (2, 4, 7), strict=True):
        (x, below), (middle, baseline) = number.get_position(), words[position].get_position()
        assert x == middle
        assert baseline - PITCH / 2 < below < baseline


def test_variables_keep_their_numbers_in_any_order():
    texts = drawn(Sentence(WORDS, [7, 2]))
    marked = [(word.get_text(), number.get_text()) for word, number in pairwise(texts) if word.get_bbox_patch()]
    assert marked == [("not", "2"), ("not", "1")]


def test_words_are_read_from_left_to_right_and_line_by_line():
    places = [text.get_position() for text in drawn(Sentence(WORDS, []), width=120)]
    assert len({y for _, y in places}) > 2
    assert places == sorted(places, key=lambda place: (-place[1], place[0]))


def test_lines_begin_below_each_other_and_the_widest_is_centred():
    good, film, wonderful = (text.get_position() for text in drawn(Sentence(["good", "film", "tremendously"], []), 90))
    assert wonderful == (0, good[1] - PITCH)
    starts = [good[0] - text_width("good", SIZE) / 2, -text_width("tremendously", SIZE) / 2]
    assert starts[0] == pytest.approx(starts[1])
    assert good[0] < film[0] < -starts[1]
    assert good[1] == film[1]


def test_nothing_is_read_as_a_formula():
    texts = drawn(Sentence(["$x^2$", "a_b", "$", "\\frac{1}{2}", "$5"], [0, 3]))
    assert [text.get_text() for text in texts] == ["$x^2$", "1", "a_b", "$", "\\frac{1}{2}", "2", "$5"]
    assert not any(text.get_parse_math() for text in texts)


def test_labels_are_the_words_told_apart_by_their_numbers():
    sentence = Sentence(WORDS, [2, 4, 7])
    assert sentence.names == ["not₁", "good", "not₃"]
    assert sentence.label(0b110) == "{good, not₃}"
    assert Sentence(WORDS, [2, 4]).label(0b11) == "{not, good}"  # the other `not` is no variable


def test_words_that_never_end_are_shortened():
    sentence = Sentence(["x" * LONGEST, "x" * (LONGEST + 1), "x" * 500], [1, 2])
    assert sentence.shown == ["x" * LONGEST, *["x" * (LONGEST - 1) + "…"] * 2]
    assert len(set(sentence.names)) == 2


@pytest.mark.parametrize("variables", [[0, 3], [-1], [1, 1]])
def test_variables_that_are_no_words_are_refused(variables):
    with pytest.raises(ValueError, match=r"variables \[.*\] are not different positions among 3 words"):
        Sentence(["a", "good", "film"], variables)
