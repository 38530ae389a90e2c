from itertools import pairwise

import numpy as np
import pytest
from matplotlib.figure import Figure

from analysis.drawing import gallery
from analysis.drawing.gallery import Card, Picture, draw, draw_picture
from analysis.drawing.sentence import Sentence


def card(n, interactions, side=4):
    """n boxes in rows of `side`, 2 x 2 pixels each, on a picture that is dark above and bright below."""
    pixels = np.zeros((2 * side, 2 * side, 3), dtype=np.uint8)
    pixels[side:] = 255
    boxes = [(2 * (i // side), 2 * (i % side), 2, 2) for i in range(n)]
    return of(Picture(pixels, boxes), interactions)


def of(shown, interactions):
    values = {model: float(np.sum(i)) for model, i in interactions.items()}
    return Card("sample 0", shown, interactions, values)


def labels(axes):
    return [text.get_text() for text in axes.get_yticklabels()]


def lengths(axes):
    return [bar.get_width() for bar in axes.containers[0]]


def test_bars_are_the_strongest_interactions_with_their_sign():
    interactions = np.array([0.5, -3.0, 0.1, 2.0, 0.0, -0.2, 1.0, 0.3])
    axes = draw(card(3, {"pretrain": interactions}), strongest=4).axes[1]
    assert lengths(axes) == [-3.0, 2.0, 1.0, 0.5]
    assert labels(axes) == ["{1}", "{1,2}", "{2,3}", "∅"]
    assert axes.yaxis_inverted()  # the strongest on top
    assert [text.get_text() for text in axes.texts] == ["−3.0", "+2.0", "+1.0", "+0.50"]
    negative, *positive = axes.containers[0]
    assert negative.get_hatch()
    assert not any(bar.get_hatch() for bar in positive)


@pytest.mark.parametrize("tau", [0.05, 0.2])
def test_salience_threshold_is_a_share_of_the_strongest(tau):
    axes = draw(card(2, {"scratch": np.array([0.0, 1.0, -4.0, 0.5])}), tau=tau).axes[1]
    dotted = [line.get_xdata()[0] for line in axes.lines if line.get_linestyle() == ":"]
    assert dotted == pytest.approx([-4 * tau, 4 * tau])


def test_models_share_their_scale_and_show_their_value():
    strong, weak = np.array([0.0, 1.0, 8.0, 1.5]), np.array([0.0, -0.1, 0.2, 0.1])
    _, pretrain, scratch = draw(card(2, {"scratch": weak, "pretrain": strong})).axes
    assert pretrain.get_title() == "pre-trained\nv(x) = +10.5"
    assert scratch.get_title() == "from scratch\nv(x) = +0.200"
    assert pretrain.get_xlim() == scratch.get_xlim()
    assert pretrain.get_xlim()[0] < -0.1
    assert pretrain.get_xlim()[1] > 8


def test_every_variable_is_outlined_and_numbered_in_its_box():
    sample = card(5, {"scratch": np.zeros(32)})
    axes = draw(sample).axes[0]
    for number, (text, (top, left, height, width)) in enumerate(zip(axes.texts, sample.shown.boxes, strict=True), 1):
        assert text.get_text() == str(number)
        assert text.xy == (left + (width - 1) / 2, top + (height - 1) / 2)
        outlines = axes.patches[2 * number - 2 : 2 * number]
        assert all(left - 0.5 <= o.get_x() and o.get_x() + o.get_width() <= left + width for o in outlines)
        assert all(top - 0.5 <= o.get_y() and o.get_y() + o.get_height() <= top + height for o in outlines)
        assert [o.get_edgecolor()[:3] for o in outlines] == [(0, 0, 0), (1, 1, 1)]


def test_picture_stays_as_sharp_as_its_pixels():
    axes = Figure().subplots()
    draw_picture(axes, card(3, {}).shown)
    assert axes.images[0].get_interpolation() == "nearest"


def three_models(n):
    """Interactions of which the strongest have the longest labels there are."""
    rng = np.random.default_rng(n)
    found = {}
    for model in ("pretrain", "finetune", "scratch"):
        found[model] = 0.001 * rng.standard_normal(2**n)
        awkward = [int("011" * 7, 2) >> shift for shift in range(8)]
        found[model][np.array(awkward) % 2**n] = rng.standard_normal(8) * 3
    return found


def extents(artists):
    return [artist.get_window_extent() for artist in artists]


def assert_all_is_seen(figure):
    figure.set_dpi(150)  # as saved: letters are a little wider or narrower at another
    figure.draw_without_rendering()
    drawn = figure.get_tightbbox()  # of all that is drawn, in inches
    assert (drawn.min >= 0).all()
    assert (drawn.max <= figure.get_size_inches()).all()
    for axes in figure.axes[1:]:
        assert not any(a.overlaps(b) for a, b in pairwise(extents(axes.get_yticklabels())))
        inside = axes.get_window_extent()
        assert all(extent.x0 >= inside.x0 and extent.x1 <= inside.x1 for extent in extents(axes.texts))


@pytest.mark.parametrize("n", [3, 20])
def test_no_text_is_cut_off_and_no_labels_collide(n):
    assert_all_is_seen(draw(card(n, three_models(n), side=5)))


WORDS = ["not", "in", "any", "way", ",", "as", "enjoyable", "as", "its", "internationally", "lauded", "precursor", "."]


@pytest.mark.parametrize(("words", "variables", "models"), [
    (["not", "good"], [0, 1], 3),
    (WORDS, [0, 2, 3, 6, 9, 10, 11], 1),
    ((WORDS * 5)[:60], range(0, 60, 5), 3),
    (["internationalisation"] * 60, range(12), 2),
    (["W" * 20] * 60, range(48, 60), 3),
    (["http://" + "x" * 500], [0], 1),
])  # fmt: skip
def test_no_word_of_a_sentence_is_cut_off_and_none_collide(words, variables, models):
    interactions = dict(list(three_models(len(variables)).items())[:models])
    figure = draw(of(Sentence(words, list(variables)), interactions))
    assert_all_is_seen(figure)
    first, *panels = figure.axes
    assert len(panels) == models
    outlines = [text.get_bbox_patch() or text for text in first.texts]
    boxes = np.array([extent.extents for extent in extents(outlines)])
    left, bottom, right, top = boxes.T[:, :, None]
    apart = (left >= right.T) | (right <= left.T) | (bottom >= top.T) | (top <= bottom.T)
    assert (apart | np.eye(len(boxes), dtype=bool)).all()
    assert left.min() >= 0
    assert right.max() <= figure.bbox.width
    highest = max(axes.get_tightbbox().y1 for axes in panels)
    assert boxes[:, 1].min() > highest
    assert boxes[:, 3].max() < figure._suptitle.get_window_extent().y0


def test_bars_of_a_sentence_are_named_by_its_words():
    interactions = np.array([0.5, -3.0, 0.1, 2.0, 0.0, -0.2, 1.0, 0.3])
    sentence = Sentence(["not", "a", "$good_", "film$", "."], [0, 2, 3])
    axes = draw(of(sentence, {"pretrain": interactions}), strongest=4).axes[1]
    assert lengths(axes) == [-3.0, 2.0, 1.0, 0.5]
    assert labels(axes) == ["{not}", "{not, $good_}", "{$good_, film$}", "∅"]
    assert not any(text.get_parse_math() for text in axes.get_yticklabels())


def test_names_of_classes_are_no_formulas():
    values = {"scratch": np.zeros(2)}
    for shown in (Sentence(["good"], [0]), card(1, {}).shown):
        figure = draw(Card("class $a$", shown, values, {"scratch": 0.0}))
        assert figure._suptitle.get_text() == "class $a$"
        assert not figure._suptitle.get_parse_math()


def test_a_model_without_any_interaction_is_drawn():
    axes = draw(card(2, {"finetune": np.zeros(4)})).axes[1]
    assert lengths(axes) == [0, 0, 0, 0]


def test_interactions_of_another_number_of_variables_are_refused():
    with pytest.raises(ValueError, match=r"scratch: interactions of 3 variables have shape \[8\], not \[4\]"):
        card(3, {"scratch": np.zeros(4)})


def test_interactions_of_another_number_of_words_are_refused():
    with pytest.raises(ValueError, match=r"probe: interactions of 2 variables have shape \[4\], not \[8\]"):
        of(Sentence(["not", "so", "good"], [0, 2]), {"probe": np.zeros(8)})


@pytest.mark.parametrize(("value", "text"), [(-152.3, "−152"), (0.00125, "+0.0013"), (-47.2, "−47"), (0.0, "+0.0")])
def test_numbers_are_signed_and_large_ones_are_plain(value, text):
    assert gallery._signed(value, 2) == text
