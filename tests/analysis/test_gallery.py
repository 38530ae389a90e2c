from itertools import pairwise

import numpy as np
import pytest
from matplotlib.figure import Figure

from analysis.gallery import Card, draw, draw_picture, subset_label


def card(n, interactions, side=4):
    """n boxes in rows of `side`, 2 x 2 pixels each, on a picture that is dark above and bright below."""
    picture = np.zeros((2 * side, 2 * side, 3), dtype=np.uint8)
    picture[side:] = 255
    boxes = [(2 * (i // side), 2 * (i % side), 2, 2) for i in range(n)]
    values = {model: float(np.sum(i)) for model, i in interactions.items()}
    return Card("sample 0", picture, boxes, interactions, values)


def labels(axes):
    return [text.get_text() for text in axes.get_yticklabels()]


def lengths(axes):
    return [bar.get_width() for bar in axes.containers[0]]


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
    for number, (text, (top, left, height, width)) in enumerate(zip(axes.texts, sample.boxes, strict=True), 1):
        assert text.get_text() == str(number)
        assert text.xy == (left + (width - 1) / 2, top + (height - 1) / 2)
        outlines = axes.patches[2 * number - 2 : 2 * number]
        assert all(left - 0.5 <= o.get_x() and o.get_x() + o.get_width() <= left + width for o in outlines)
        assert all(top - 0.5 <= o.get_y() and o.get_y() + o.get_height() <= top + height for o in outlines)
        assert [o.get_edgecolor()[:3] for o in outlines] == [(0, 0, 0), (1, 1, 1)]


def test_picture_stays_as_sharp_as_its_pixels():
    axes = Figure().subplots()
    draw_picture(axes, card(3, {}))
    assert axes.images[0].get_interpolation() == "nearest"


@pytest.mark.parametrize("n", [3, 20])
def test_no_text_is_cut_off_and_no_labels_collide(n):
    rng = np.random.default_rng(n)
    interactions = {}
    for model in ("pretrain", "finetune", "scratch"):
        values = 0.001 * rng.standard_normal(2**n)
        awkward = [int("011" * 7, 2) >> shift for shift in range(8)]  # the longest labels there are
        values[np.array(awkward) % 2**n] = rng.standard_normal(8) * 3
        interactions[model] = values
    figure = draw(card(n, interactions, side=5))
    figure.draw_without_rendering()
    drawn = figure.get_tightbbox()  # of all that is drawn, in inches
    assert (drawn.min >= 0).all()
    assert (drawn.max <= figure.get_size_inches()).all()
    for axes in figure.axes[1:]:
        boxes = [label.get_window_extent() for label in axes.get_yticklabels()]
        assert not any(a.overlaps(b) for a, b in pairwise(boxes))
        inside = axes.get_window_extent()
        assert all(inside.x0 <= text.get_window_extent().x0 for text in axes.texts)
        assert all(text.get_window_extent().x1 <= inside.x1 for text in axes.texts)


def test_a_model_without_any_interaction_is_drawn():
    axes = draw(card(2, {"finetune": np.zeros(4)})).axes[1]
    assert lengths(axes) == [0, 0, 0, 0]


def test_interactions_of_another_number_of_variables_are_refused():
    with pytest.raises(ValueError, match=r"scratch: interactions of 3 variables have shape \[8\], not \[4\]"):
        card(3, {"scratch": np.zeros(4)})
