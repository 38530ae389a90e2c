"""Several views side by side: rings on the highest epochs, squares of tau, dots where views agree beyond a trend."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from matplotlib.patches import Rectangle

from analysis.drawing.views import draw

MEANS = {
    "fe": [0.7, 0.9, 0.8],
    "rank": [10, 20, 30],
    "flat": [0.5, 0.5, 0.5],
    "late": [np.nan, 2.0, 1.0],
    "alike": [-5.23e-05, 0.0123, 0.0123],
    "large": [1234.4, 98.76, 3.0],
}
EPOCHS = (1, 5, 200)


@pytest.fixture
def figure():
    def make(note="", p=0.01):
        rows = [(name, *each) for name, of in MEANS.items() for each in zip(EPOCHS, of, strict=True)]
        over = pd.DataFrame(rows, columns=["view", "epoch", "mean"])
        trends = pd.DataFrame({"view": [*MEANS, "epoch"], "tau": [0.3, 1.0, np.nan, -1.0, 0.5, -0.5, 1.0]})
        pairs = pd.DataFrame([("fe", "rank", 0.5, 3.0, p), ("rank", "late", -0.5, -3.0, p), ("fe", "late", 0.2, 1, 0.3),
                              ("fe", "flat", np.nan, np.nan, np.nan)],
                             columns=["view", "other", "tau_within", "z", "p_adjusted"])  # fmt: skip
        return draw(over, trends, pairs, str.upper, 0.05, note)

    return make


def test_a_ring_is_around_the_highest_epoch_of_each_view_that_has_one(figure):
    left = figure().axes[0]
    rings = [patch for patch in left.patches if isinstance(patch, Rectangle)]
    assert {(round(ring.get_y()), round(ring.get_x())) for ring in rings} == {
        (0, 1), (1, 2), (3, 1), (4, 1), (4, 2), (5, 0)}  # fmt: skip
    assert [text.get_text() for text in left.get_xticklabels()] == ["1", "5", "200"]
    assert [text.get_text().split() for text in left.get_yticklabels()] == [
        [name.upper(), str(at)] for at, name in enumerate(MEANS, 1)
    ]
    numbers = [text.get_text() for text in left.texts]
    assert numbers[:11] == ["0.7", "0.9", "0.8", "10", "20", "30", "0.5", "0.5", "0.5", "2", "1"]
    assert numbers[11:] == ["-0.0001", "0.0123", "0.0123", "1234", "99", "3"], "rounded as the others of the row"
    (image,) = left.images
    shades = image.get_array()
    assert shades[0].tolist() == pytest.approx([0, 1, 0.5]), "from the lowest to the highest of the row"
    assert np.ma.getmaskarray(np.ma.masked_invalid(shades))[2].all(), "a flat view stands nowhere"


def test_squares_are_taus_and_dots_are_pairs_that_agree(figure):
    right = figure().axes[1]
    (image,) = right.images
    expected = np.full((6, 7), np.nan)
    expected[:, 0] = [0.3, 1, np.nan, -1, 0.5, -0.5]
    expected[1, 1], expected[3, 2], expected[3, 1] = 0.5, -0.5, 0.2
    np.testing.assert_allclose(np.ma.filled(np.ma.masked_invalid(image.get_array()), np.nan), expected)
    dots = {(line.get_marker(), float(line.get_xdata()[0]), float(line.get_ydata()[0]))
            for line in right.lines if line.get_marker() != "None"}  # fmt: skip
    assert dots == {("o", 1, 1), ("X", 2, 3)}, "beyond the common trend, together and against each other"
    assert to_hex(image.cmap(image.norm(0.0))) != to_hex(image.cmap(image.norm(0.5)))


def test_what_is_not_tested_is_said_in_place_of_dots(figure):
    made = figure("it takes 5 seeds", p=np.nan)
    assert [line.get_marker() for line in made.axes[1].lines if line.get_marker() != "None"] == []
    (legend,) = made.legends
    assert [text.get_text() for text in legend.get_texts()] == ["a view's highest epoch", "it takes 5 seeds"]


@pytest.mark.parametrize(
    "note", ["", "agreement beyond the trend is not tested: it takes 5 seeds or more; with 4 no p"]
)
def test_nothing_is_cut_off(figure, note):
    made = figure(note)
    made.draw_without_rendering()
    width, height = made.bbox.size
    box = made.get_tightbbox()
    assert box.x0 >= 0
    assert box.y0 >= 0
    assert box.x1 <= width / made.dpi + 0.01
    assert box.y1 <= height / made.dpi + 0.01
