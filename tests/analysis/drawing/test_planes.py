import numpy as np
import pytest
from matplotlib.colors import to_hex

from analysis.drawing.planes import HUES, MARKS, MOST, planes


@pytest.fixture
def panel():
    """panel("after", 3): a panel of this title with ten points of each of three classes."""

    def make(title, classes):
        points = np.random.default_rng(classes).normal(size=(10 * classes, 2))
        return title, points, np.repeat(np.arange(classes), 10)

    return make


def test_each_panel_shows_its_points_by_class(panel):
    title, points, labels = panel("before", 3)
    figure = planes([[(title, points, labels)], [panel("after", 3)]], ["a", "b", "c"])
    first, second = figure.axes
    assert (first.get_title(), second.get_title()) == ("before", "after")
    for label, line in enumerate(first.lines):
        np.testing.assert_array_equal(np.column_stack(line.get_data()), points[labels == label])
        assert to_hex(line.get_color()).upper() == HUES[label]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["a", "b", "c"]


def test_rows_may_have_different_lengths(panel):
    figure = planes([[panel("a", 2), panel("b", 2)], [panel("c", 2)]], ["x", "y"])
    assert [axes.get_title() for axes in figure.axes] == ["a", "b", "c"]


def test_no_two_classes_with_names_look_alike(panel):
    figure = planes([[panel("a", MOST)]], list(range(MOST)))
    looks = {(line.get_color(), line.get_marker()) for line in figure.axes[0].lines}
    assert len(looks) == MOST <= len(HUES) * len(MARKS)
    assert len(figure.legends[0].get_texts()) == MOST


def test_more_classes_have_no_legend_and_a_missing_one_keeps_the_colours(panel):
    assert not planes([[panel("a", MOST + 1)]], list(range(MOST + 1))).legends
    title, points, labels = panel("a", 3)
    figure = planes([[(title, points[labels != 1], labels[labels != 1])]], ["a", "b", "c"])
    assert [to_hex(line.get_color()).upper() for line in figure.axes[0].lines] == [HUES[0], HUES[2]]
