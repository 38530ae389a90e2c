"""Figures over pre-training epochs, from tables that are made by hand."""

import numpy as np
import pandas as pd
import pytest

from analysis.drawing.epochs import COMPONENTS, FLAT, MODELS, SIZES, TRANSFER, along, spectrum, transfer
from analysis.drawing.ranking import ranks, scatter
from analysis.drawing.style import panels, save

EPOCHS = (1, 5, 40, 200)
CURVES = {"fe": (0.80, 0.90, 0.88, 0.85), "fe_converged": (0.82, 0.91, 0.90, 0.88), "ft": (0.85, 0.87, 0.90, 0.92)}


def rows(keys: list[str], curves: dict, **levels) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The means of these curves with their intervals, and two seeds around them."""
    over = pd.DataFrame(
        [(epoch, *name.split("/"), value, value - 0.01, value + 0.01)
         for name, curve in curves.items() for epoch, value in zip(EPOCHS, curve, strict=True)],
        columns=["epoch", *keys, "mean", "low", "high"],
    ).assign(**levels)  # fmt: skip
    return over, pd.concat([over.assign(seed=str(seed), mean=over["mean"] + seed / 500) for seed in (-1, 1)])


def lines(figure) -> dict:
    return {line.get_label(): line for axes in figure.axes for line in axes.lines if line.get_label()[0] != "_"}


@pytest.fixture
def drawn():
    """drawn({"source": (...)}, chance=0.1): the figure of these curves of transfer, beside those of FE and FT."""
    return lambda more, **levels: transfer(*rows(["quantity"], CURVES | more, **levels))


def test_each_curve_is_drawn_with_its_band_seeds_and_best_epoch(drawn):
    figure = drawn({}, chance=0.7)
    (axes,) = figure.axes
    found = lines(figure)
    for name, curve in CURVES.items():
        np.testing.assert_array_equal(np.column_stack(found[TRANSFER[name].words].get_data()).T, (EPOCHS, curve))
    assert len(axes.collections) == 3, "bands"
    assert len([line for line in axes.lines if line.get_linewidth() == 0.7]) == 6, "seeds"
    rings = [line.get_data() for line in axes.lines if line.get_markersize() == 12]
    assert [(float(x[0]), float(y[0])) for x, y in rings] == [(5, 0.9), (5, 0.91), (200, 0.92)]
    assert "ring: the best epoch of a curve" in found
    assert found["by chance"].get_ydata()[0] == pytest.approx(0.7)
    assert axes.get_xscale() == "log"


@pytest.mark.parametrize(("more", "expected"), [
    ({"source": (0.7, 0.8, 0.85, 0.9)}, 1), ({"source": (0.6, 0.7, 0.8, 0.9)}, 2),
    ({"source": (0.1, 0.4, 0.8, 0.9)}, 2),
    ({"ft": (0.991, 0.992, 0.993, 0.994), "source": (0.75, 0.8, 0.85, 0.9)}, 2),
])  # fmt: skip
def test_curves_that_would_be_flat_have_panels_of_their_own(drawn, more, expected):
    figure = drawn(more)
    assert len(figure.axes) == expected
    for axes in figure.axes:
        curves = [line.get_ydata() for line in axes.lines if line.get_linewidth() == 1.8 and len(line.get_xdata())]
        assert min(map(np.ptp, curves)) >= np.ptp(curves) / FLAT


def test_wide_bands_stay_within_what_is_possible_and_do_not_flatten_curves(of_spectrum):
    over, seeds = of_spectrum
    figure = spectrum(over.assign(low=over["mean"] - 90, high=over["mean"] + 90), seeds)
    for axes, most in zip(figure.axes, (1, 1, None), strict=True):
        bands = np.concatenate([path.vertices[:, 1] for each in axes.collections for path in each.get_paths()])
        assert bands.min() == 0
        assert most is None or bands.max() == most
        own = np.concatenate([line.get_ydata() for line in axes.lines if line.get_linewidth() < 2])
        assert np.ptp(axes.get_ylim()) < 2.5 * np.ptp(own)
        assert axes.get_ylim()[0] < own.min()
        assert axes.get_ylim()[1] > own.max()


def test_a_chance_far_below_is_said_in_words(drawn):
    (axes,) = drawn({}, chance=0.01).axes
    assert axes.get_ylim()[0] > 0.7
    assert "(by chance 1 %, below the axis)" in axes.get_xlabel()


def test_a_curve_without_a_best_epoch_has_no_ring(drawn):
    (axes,) = drawn({name: (0.5,) * 4 for name in CURVES}).axes
    assert not [line for line in axes.lines if line.get_markersize() == 12]


def test_epochs_that_are_equally_good_have_a_ring_each(drawn):
    (axes,) = drawn({name: (0.5, 1.0, 0.7, 1.0) for name in CURVES}).axes
    rings = [line.get_xdata().tolist() for line in axes.lines if line.get_markersize() == 12]
    assert rings == [[5, 200]] * len(CURVES)


@pytest.mark.parametrize(("epochs", "scale", "shown"), [
    (EPOCHS, "log", "1 5 40 200"), ((2, 4, 6), "linear", "2 4 6"), ((0, 1, 5, 40, 200), "symlog", "0 1 5 40 200"),
    (range(1, 91), "log", None), (range(10, 100), "linear", None),
])  # fmt: skip
def test_the_axis_of_epochs_names_epochs_that_are_there(epochs, scale, shown):
    _, (axes,) = panels("")
    axes.plot(epochs, np.zeros(len(epochs)))
    along(axes, pd.Series(epochs))
    labels = [text.get_text() for text in axes.get_xticklabels()][::-1]
    assert axes.get_xscale() == scale
    assert shown is None or " ".join(labels) == shown
    assert 3 <= len(labels) <= 11
    assert {int(label) for label in labels} <= set(epochs)
    assert max(map(int, labels)) == max(epochs)


@pytest.fixture
def of_spectrum():
    curves = {f"{model}/accuracy/{component}": np.linspace(0.3, 0.5, 4) + 0.1 * at
              for model in MODELS for at, component in enumerate(COMPONENTS)}  # fmt: skip
    sizes = {f"{model}/{quantity}/{component}": (3, 5, 9, 20) for model in MODELS for quantity, component in SIZES}
    return rows(["model", "quantity", "component"], curves | sizes, chance=0.1)


def test_components_have_a_panel_before_and_after_and_one_of_their_size(of_spectrum):
    over, seeds = of_spectrum
    figure = spectrum(over, seeds)
    assert [axes.get_title() for axes in figure.axes[:2]] == ["before fine-tuning", "after fine-tuning"]
    assert figure.axes[0].get_ylim() == figure.axes[1].get_ylim()
    names = {curve.words for curve in COMPONENTS.values()}
    for axes in figure.axes[:2]:
        assert names <= {line.get_label() for line in axes.lines}
    assert {"dimension of F_m, before", "dimension of F_m, after"} <= set(lines(figure))
    assert "the paper's" not in lines(figure)


def test_the_papers_values_are_crosses_at_their_epoch(of_spectrum):
    over, seeds = of_spectrum
    chosen = (over[["epoch", "model", "quantity", "component"]] == [5, "pretrain", "accuracy", "main"]).all(axis=1)
    figure = spectrum(over.assign(paper=np.where(chosen, 0.8824, np.nan)), seeds)
    crosses = [line for axes in figure.axes for line in axes.lines if line.get_marker() == "x"]
    shown = [(x, y) for line in crosses for x, y in zip(*line.get_data(), strict=True) if np.isfinite(y)]
    assert shown == [(5, 0.8824)]
    assert "the paper's" in lines(figure)


@pytest.fixture
def ranking():
    rows = [("ft", ranker, tau, tau - 0.1, tau + 0.1, 0.01, 0.0, 0.02, 0.04) for ranker, tau in
            (("epoch", 0.8), ("knn", 0.3), ("logme", -0.4))]  # fmt: skip
    names = ["target", "ranker", *(f"{name}{end}" for name in ("tau", "regret") for end in ("", "_low", "_high")), "p"]
    return pd.DataFrame(rows, columns=names)


def test_rankers_stand_in_their_order_with_tau_p_and_regret(ranking, tmp_path):
    words = {"epoch": "the epoch itself", "knn": "neighbours", "logme": "LogME"}
    figure = ranks(ranking, {"fe": "FE", "ft": "FT"}, words, ("epoch",))
    above, below = figure.axes
    assert [text.get_text() for text in above.get_yticklabels()] == list(words.values())
    of_score, free = (line for line in above.lines if line.get_marker() in "oD")
    assert list(of_score.get_xdata()) == [0.3, -0.4]
    assert list(free.get_data()) == [[0.8], [0]]
    assert [text.get_text() for text in above.texts] == ["p 0.04"] * 3
    assert below.lines[0].get_xdata().tolist() == [1, 1], "percentage points"
    assert _is_whole(figure, tmp_path)


def test_logme_stands_against_each_accuracy(tmp_path):
    points = pd.DataFrame({"target": "ft", "seed": ["0", "1"] * 3, "epoch": [1, 1, 2, 2, 3, 3],
                           "score": [0.0, 2, 3, 5, 8, 8], "accuracy": [0.1, 0.3, 0.4, 0.6, 0.5, 0.5]})  # fmt: skip
    figure = scatter(points, {"fe": "FE", "ft": "FT"}, {"ft": "tau 0.3"})
    axes, bar = figure.axes
    assert axes.get_title() == "FT\ntau 0.3"
    means = axes.collections[-1].get_offsets().tolist()
    np.testing.assert_allclose(means, [[1, 0.2], [4, 0.5], [8, 0.5]])
    assert [text.get_text() for text in bar.get_yticklabels()] == ["1", "2", "3"]
    assert _is_whole(figure, tmp_path)


def _is_whole(figure, folder) -> bool:
    """Whether no word is cut off at the edge of the figure."""
    save(figure, folder, "figure")
    box, size = figure.get_tightbbox(), figure.get_size_inches()
    return bool(box.x0 >= 0 and box.y0 >= 0 and box.x1 <= size[0] and box.y1 <= size[1])
