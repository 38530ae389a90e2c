import numpy as np
import pandas as pd
import pytest

from analysis.drawing.benefit import draw

ARMS = ("nothing", "moments", "shuffled", "1", "2", "3", "all")


@pytest.fixture
def by_run():
    rows = [(seed, arm, 0.01 * at + seed, 0.02 * at - seed) for seed in range(3) for at, arm in enumerate(ARMS)]
    return pd.DataFrame(rows, columns=["seed", "arm", "gain", "excess"])


@pytest.fixture
def over():
    rows = [("all", 0.5, 0.2, 0.8), ("without shuffled", 0.4, 0.1, 0.7)]
    return pd.DataFrame(rows, columns=["arms", "mean", "low", "high"])


def labelled(figure) -> dict:
    return {line.get_label(): line for line in figure.axes[0].lines if not line.get_label().startswith("_")}


def test_what_seeds_differ_in_is_taken_away(by_run, over):
    figure = draw(by_run, over)
    small = [line for line in figure.axes[0].lines if line.get_markersize() == 6 and line.get_marker() != "None"]
    assert len(small) == len(ARMS)
    for at, line in enumerate(small):
        assert line.get_xdata() == pytest.approx(3 * [0.02 * at - by_run["seed"].mean()])
        assert line.get_ydata() == pytest.approx(3 * [0.01 * at + by_run["seed"].mean()])


def test_every_arm_has_its_colour_and_mark(by_run, over):
    arms = [line for line in labelled(draw(by_run, over)).values() if line.get_linestyle() == "None"]
    assert len(arms) == len(ARMS)
    assert len({str(line.get_color()) for line in arms}) == len({line.get_marker() for line in arms}) == len(ARMS)


def test_the_line_has_the_slope_and_the_band_its_interval(by_run, over):
    figure = draw(by_run, over)
    (axes,), lines = figure.axes, labelled(figure)
    for name, slope in (("slope, with 95% interval", 0.5), ("slope without shuffled", 0.4)):
        x, y = lines[name].get_data()
        assert np.diff(y) / np.diff(x) == pytest.approx(2 * [slope])
    x, _ = lines["slope, with 95% interval"].get_data()
    (band,) = axes.collections
    corners = band.get_paths()[0].vertices
    height = np.ptp(corners[np.isclose(corners[:, 0], x[-1])][:, 1])
    assert height == pytest.approx((0.8 - 0.2) * (x[-1] - x[1]))
    without = by_run[by_run["arm"] != "shuffled"]
    assert lines["slope without shuffled"].get_xdata()[1] == pytest.approx(without["excess"].mean())


def test_a_slope_without_an_interval_is_drawn_alone(by_run, over):
    figure = draw(by_run, over.assign(low=np.nan, high=np.nan))
    assert "slope, with 95% interval" in labelled(figure)
