import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import same_color

from analysis.drawing.style import COLOURS, save
from analysis.loading import load
from conf.measures import ours

WITH_CHANCE = [name for name in ours() if name != "noise"]


def interval(mean, chance):
    mean = np.asarray(mean, dtype=float)
    return {"mean": mean, "low": 0.9 * mean, "high": 1.1 * mean, "chance": chance}


def decomposition_table(n):
    orders = np.arange(n + 1)
    pretrain, finetune = 1 + 0.1 * orders, 2 - 0.05 * orders
    preserved = 0.3 + 0.01 * orders
    parts = {
        "pretrain": pretrain,
        "finetune": finetune,
        "preserved": preserved,
        "discarded": pretrain - preserved,
        "new": finetune - preserved,
    }
    rows = [pd.DataFrame({"order": orders, "quantity": q, **interval(v, 0.29)}) for q, v in parts.items()]
    return pd.concat(rows, ignore_index=True)


def curves_table(epochs, quantities, extra):
    """Rows of fine-tuned and scratch over all epochs, and of the model `extra` at epochs of its own."""
    rows = []
    for quantity in quantities:
        for model, speed in (("finetune", 0.5), ("scratch", 0.2)):
            e = np.arange(epochs)
            mean = interval(1 - 0.8 * np.exp(-speed * e), 0.1 + 0.05 * speed)
            rows.append(pd.DataFrame({"model": model, "epoch": e, "quantity": quantity, **mean}))
        rows.append(pd.DataFrame({"model": extra, "epoch": [7, 8], "quantity": quantity, **interval([0.5, 0.6], 0.15)}))
    return pd.concat(rows, ignore_index=True)


def noise_table(n):
    orders = np.arange(n + 1)
    rows = []
    for model in ("pretrain", "finetune", "scratch"):
        for quantity, mean in (("strength", 0.1 * (1 + orders)), ("noise", 2 ** (orders / 2) * 1e-6)):
            data = {"mean": mean, "low": 0.9 * mean, "high": 1.1 * mean, "explained": 1e-4}
            rows.append(pd.DataFrame({"model": model, "order": orders, "quantity": quantity, **data}))
    return pd.concat(rows, ignore_index=True)


def table(name, n=5, epochs=4):
    ratio = {"definition": ["weighted", "paper", "positive"], **interval([0.5, 0.2, 0.4], [0.35, 0.21, 0.41])}
    jaccard = curves_table(epochs, ["jaccard"], "pretrain")
    return {
        "decomposition": lambda: decomposition_table(n),
        "ratio": lambda: pd.DataFrame(ratio),
        "jaccard": lambda: jaccard[jaccard["model"] != "pretrain"].drop(columns="quantity"),
        "accuracy": lambda: curves_table(epochs, ["accuracy", "loss"], "pretrain"),
        "faithfulness": lambda: curves_table(epochs, ["salient_share", "rebuilt"], "pretrain"),
        "noise": lambda: noise_table(n),
    }[name]()


def draw(name, **sizes):
    return drawn(name, table(name, **sizes))


def drawn(name, data):
    return load(name, {}).figure(data)


def colour_of(artist):
    return artist.get_color()[0] if hasattr(artist, "get_segments") else artist.get_color()


def grey(axes):
    lines = [artist for artist in (*axes.lines, *axes.collections) if hasattr(artist, "get_color")]
    return [line for line in lines if same_color(colour_of(line), COLOURS["chance"])]


def bars(axes, colour):
    return [bar for bar in axes.patches if same_color(bar.get_facecolor(), COLOURS[colour])]


def curve(axes, label):
    return next(line for line in axes.lines if line.get_label() == label)


def test_bars_of_the_decomposition_are_the_table():
    data = table("decomposition").pivot(index="order", columns="quantity", values="mean")
    axes = draw("decomposition").axes[0]
    for part, sign, total in (("discarded", 1, "pretrain"), ("new", -1, "finetune")):
        outer = bars(axes, part)
        np.testing.assert_allclose([bar.get_height() for bar in outer], sign * data[part])
        np.testing.assert_allclose([bar.get_y() for bar in outer], sign * data["preserved"])
        np.testing.assert_allclose([bar.get_y() + bar.get_height() for bar in outer], sign * data[total])
        np.testing.assert_allclose([bar.get_x() + bar.get_width() / 2 for bar in outer], data.index)
    preserved = [bar.get_height() for bar in bars(axes, "preserved")]
    np.testing.assert_allclose(preserved, [*data["preserved"], *-data["preserved"]])


def test_chance_of_the_decomposition_is_marked_on_both_sides():
    marks = grey(draw("decomposition", n=3).axes[0])
    heights = [segment[0][1] for mark in marks for segment in mark.get_segments()]
    assert heights == 4 * [0.29] + 4 * [-0.29]


def test_decomposition_counts_upwards_on_both_sides():
    axes = draw("decomposition").axes[0]
    assert axes.yaxis.get_major_formatter()(-0.5, None) == "0.5"
    assert axes.get_ylim()[0] == -axes.get_ylim()[1]


def test_ratio_draws_each_definition_its_chance_and_the_papers_band():
    axes = draw("ratio").axes[0]
    band, *drawn = axes.patches
    assert [bar.get_height() for bar in drawn] == [0.2, 0.4, 0.5]  # in the order paper, positive, weighted
    assert [segment[0][1] for segment in grey(axes)[0].get_segments()] == [0.21, 0.41, 0.35]
    assert (band.get_y(), band.get_y() + band.get_height()) == pytest.approx((0.13, 0.45))
    assert "20.0% (chance 21.0%)" in axes.get_xticklabels()[0].get_text()


def test_jaccard_curves_are_the_table():
    data = table("jaccard")
    axes = draw("jaccard").axes[0]
    for model, label in (("finetune", "fine-tuned"), ("scratch", "from scratch")):
        np.testing.assert_array_equal(curve(axes, label).get_ydata(), data[data["model"] == model]["mean"])
        np.testing.assert_array_equal(
            curve(axes, f"chance ({label})").get_ydata(), data[data["model"] == model]["chance"]
        )


def test_chance_that_models_share_is_one_line():
    data = table("jaccard").assign(chance=0.17)
    (line,) = grey(drawn("jaccard", data).axes[0])
    assert line.get_label() == "chance"
    np.testing.assert_array_equal(line.get_ydata(), 0.17)


@pytest.mark.parametrize("name", ["accuracy", "faithfulness"])
def test_a_model_with_other_epochs_is_a_line_at_its_last_value(name):
    for axes in draw(name).axes:
        assert list(curve(axes, "pre-trained").get_ydata()) == [0.6, 0.6]
        assert max(curve(axes, "fine-tuned").get_xdata()) == 3


@pytest.mark.parametrize("name", ["accuracy", "faithfulness"])
def test_a_model_without_epochs_may_be_alone_with_its_chance(name):
    data = table(name)
    figure = drawn(name, data[data["model"] == "pretrain"])
    for axes in figure.axes:
        assert list(curve(axes, "pre-trained").get_ydata()) == [0.6, 0.6]
        assert list(curve(axes, "chance (pre-trained)").get_ydata()) == [0.15, 0.15]
        assert len(axes.get_xticks()) == 0


@pytest.mark.parametrize("name", ["jaccard", "accuracy", "faithfulness", "noise"])
@pytest.mark.parametrize("model", ["finetune", "scratch"])
def test_a_model_may_be_left_out(name, model):
    data = table(name)
    figure = drawn(name, data[data["model"] != model])
    figure.draw_without_rendering()
    names = " ".join(text.get_text() for text in figure.legends[0].texts)
    assert {"finetune": "fine-tuned", "scratch": "from scratch"}[model] not in names
    assert {"finetune": "from scratch", "scratch": "fine-tuned"}[model] in names


def test_noise_is_drawn_on_a_log_axis():
    axes = draw("noise").axes[0]
    assert axes.get_yscale() == "log"
    np.testing.assert_allclose(curve(axes, "fine-tuned: strength").get_ydata(), 0.1 * (1 + np.arange(6)))
    np.testing.assert_allclose(curve(axes, "fine-tuned: noise").get_ydata(), 2 ** (np.arange(6) / 2) * 1e-6)


@pytest.mark.parametrize("name", WITH_CHANCE)
def test_every_panel_shows_chance(name):
    assert all(grey(axes) for axes in draw(name).axes)


@pytest.mark.parametrize("name", WITH_CHANCE)
def test_missing_intervals_and_chance_are_left_out(name, tmp_path):
    figure = drawn(name, table(name).assign(low=np.nan, high=np.nan, chance=np.nan))
    save(figure, tmp_path, name)
    assert not any(grey(axes) for axes in figure.axes)
    assert not any("chance" in text.get_text() for text in figure.legends[0].texts)


@pytest.mark.parametrize("name", ours())
@pytest.mark.parametrize(("n", "epochs"), [(3, 1), (20, 200)])
def test_no_text_is_cut_off_and_no_legend_covers_data(name, n, epochs):
    figure = draw(name, n=n, epochs=epochs)
    figure.draw_without_rendering()
    drawn = figure.get_tightbbox()  # of all that is drawn, in inches
    assert (drawn.min >= 0).all()
    assert (drawn.max <= figure.get_size_inches()).all()
    legend = figure.legends[0].get_window_extent()
    assert not any(legend.overlaps(axes.get_window_extent()) for axes in figure.axes)


def test_files_are_the_same_bytes_each_time(tmp_path):
    for folder in ("first", "second"):
        save(draw("accuracy"), tmp_path / folder, "accuracy")
    assert sorted(path.name for path in (tmp_path / "first").iterdir()) == [
        "accuracy.png",
        "accuracy.svg",
    ]
    for path in (tmp_path / "first").iterdir():
        assert path.read_bytes() == (tmp_path / "second" / path.name).read_bytes()
    assert b"<text" not in (tmp_path / "first" / "accuracy.svg").read_bytes()  # looks the same everywhere
