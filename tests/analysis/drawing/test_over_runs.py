from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import same_color

from analysis.drawing.few_settings import HUES
from analysis.drawing.over_runs import MANY, draw
from analysis.drawing.style import COLOURS, REFERENCE

KEYS = {"ratio": ["definition"], "jaccard": ["model", "epoch"], "accuracy": ["model", "epoch", "quantity"]}
WORDS = {"definition": ["paper", "weighted"], "model": ["finetune", "scratch"], "quantity": ["accuracy", "loss"]}
LABEL = "model=conv4, finetune.lr={}"


def tables(measure, settings, runs=3, epochs=4, references=("chance",)):
    """Over runs, and by run: the mean is 0.2 + 0.1 * its row of the setting."""
    axes = [range(epochs) if key == "epoch" else WORDS[key] for key in KEYS[measure]]
    rows = list(pd.MultiIndex.from_product(axes)) if len(axes) > 1 else [(value,) for value in axes[0]]
    each = pd.DataFrame(rows, columns=KEYS[measure])
    level = 0.2 + 0.1 * np.arange(len(each))
    by_run, over = [], []
    for setting in range(settings):
        mean = level + 0.01 * setting
        by_run += [each.assign(setting=setting, run=f"{setting}/{run}", mean=mean + 0.02 * (run - (runs - 1) / 2))
                   for run in range(runs)]  # fmt: skip
        wide = 0.05 if runs > 2 else np.nan
        over.append(each.assign(setting=setting, runs=runs, mean=mean, low=mean - wide, high=mean + wide,
                                **dict.fromkeys(references, 0.17)))  # fmt: skip
    return pd.concat(over, ignore_index=True), pd.concat(by_run, ignore_index=True)


def figure_of(measure, settings, references=("chance",), label=LABEL, **sizes):
    labels = [label.format(setting) for setting in range(settings)]
    over, by_run = tables(measure, settings, references=references, **sizes)
    return draw(over, by_run, KEYS[measure], list(references), labels, "A title", "settings")


def titles(figure):
    return [axes.get_title() for axes in figure.axes if axes.get_title()]


def names(figure):
    return [text.get_text() for text in figure.legends[0].texts]


def test_titles_of_panels_are_not_longer_than_their_panels():
    over, by_run = tables("jaccard", 2)
    parts = [table.assign(model=table["model"] + end) for table in (over, by_run) for end in ("", "2", "3")]
    both = (pd.concat(parts[:3]), pd.concat(parts[3:]))
    long = {
        name: "after fine-tuning, nearest neighbour of the same class, in the features"
        for name in set(both[0]["model"])
    }
    figure = draw(*both, KEYS["jaccard"], [], ["a", "b"], "A title", words=long)
    figure.draw_without_rendering()
    boxes = sorted((axes.title.get_window_extent() for axes in figure.axes), key=lambda box: (-round(box.y0), box.x0))
    assert len(boxes) == 6
    assert not any(one.overlaps(other) for one, other in pairwise(boxes))
    plain = draw(*both, KEYS["jaccard"], [], ["a", "b"], "A title", words=dict.fromkeys(long, "short"))
    plain.draw_without_rendering()
    heights = [figure.axes[0].get_window_extent().height for figure in (figure, plain)]
    assert heights[0] > 0.9 * heights[1], "axes keep their height"


def test_lines_are_the_means_with_their_intervals_and_runs():
    figure = figure_of("jaccard", 2)
    over, by_run = tables("jaccard", 2)
    assert titles(figure) == ["fine-tuned", "from scratch"]
    for axes, model in zip(figure.axes, WORDS["model"], strict=True):
        assert axes.get_xlabel() == "epoch"
        for setting in range(2):
            rows = over[(over["model"] == model) & (over["setting"] == setting)]
            (line,) = (line for line in axes.lines if line.get_label() == LABEL.format(setting))
            np.testing.assert_array_equal(line.get_ydata(), rows["mean"])
            assert same_color(line.get_color(), HUES[setting])
            box = axes.collections[setting].get_datalim(axes.transData)
            assert (box.y0, box.y1) == pytest.approx((rows["low"].min(), rows["high"].max()))
        thin = [line for line in axes.lines if line.get_linewidth() < 1]
        drawn = sorted(tuple(np.round(line.get_ydata(), 9)) for line in thin)
        runs = by_run[by_run["model"] == model].groupby("run")["mean"]
        assert drawn == sorted(tuple(np.round(values, 9)) for _, values in runs)


def test_bars_are_the_means_with_their_intervals_and_runs():
    figure = figure_of("ratio", 3)
    over, by_run = tables("ratio", 3)
    assert titles(figure) == WORDS["definition"]
    for axes, definition in zip(figure.axes, WORDS["definition"], strict=True):
        rows = over[over["definition"] == definition]
        assert [bar.get_height() for bar in axes.patches] == list(rows["mean"])
        points = np.concatenate([line.get_ydata() for line in axes.lines if line.get_gid() != REFERENCE])
        np.testing.assert_array_equal(points, by_run[by_run["definition"] == definition]["mean"])
        ends = {tuple(segment[:, 1]) for part in axes.collections for segment in part.get_segments()}
        assert set(zip(rows["low"], rows["high"], strict=True)) <= ends


@pytest.mark.parametrize(("settings", "scale", "places"), [
    ([1e-4, 1e-3, 0.01, 0.1, "auto"], "log", [1e-4, 1e-3, 0.01, 0.1, 0.4]),
    ([2, 4, 6, 8], "linear", [2, 4, 6, 8]),
    ([0, 1, 10, 100, "last"], "linear", [0, 1, 10, 100, 115]),
])  # fmt: skip
def test_settings_that_are_numbers_are_an_axis(settings, scale, places):
    over, by_run = tables("ratio", len(settings))
    figure = draw(over, by_run, ["definition"], ["chance"], list(map(str, settings)), "A title", "probe.l2",
                  settings=settings)  # fmt: skip
    figure.draw_without_rendering()
    for axes, definition in zip(figure.axes, WORDS["definition"], strict=True):
        rows = over[over["definition"] == definition]
        lines = [line for line in axes.lines if same_color(line.get_color(), HUES[0])]
        drawn = np.concatenate([line.get_xydata() for line in lines])
        np.testing.assert_allclose(drawn, np.stack([places, rows["mean"]], 1))
        assert len(lines[0].get_xdata()) == sum(not isinstance(value, str) for value in settings)
        assert lines[1].get_linestyle() == "None", "a word is on no line"
        ends = {tuple(segment[:, 1]) for part in axes.collections for segment in part.get_segments()}
        assert set(zip(rows["low"], rows["high"], strict=True)) <= ends
        (runs,) = (line for line in axes.lines if line.get_color() == "black")
        assert len(runs.get_xdata()) == 3 * len(settings)
        assert (axes.get_xscale(), axes.get_xlabel()) == (scale, "probe.l2")
        words = [value for value in settings if isinstance(value, str)]
        assert [label.get_text() for label in axes.get_xticklabels()][
            len(settings) - len(words) :
        ] == words or not words
    assert names(figure) == ["by chance"]


@pytest.mark.parametrize("settings", [[1, 2, 3], ["a", "b", "c", "d"], [1, 2, 3, "a"], []])
def test_few_numbers_and_words_stay_bars(settings):
    over, by_run = tables("ratio", 4)
    figure = draw(over, by_run, ["definition"], ["chance"], list("abcd"), "A title", "key", settings=settings)
    assert all(len(axes.patches) == 4 for axes in figure.axes)


def test_runs_without_an_interval_are_points_alone():
    for axes in figure_of("ratio", 2, runs=2).axes:
        assert not axes.patches
        assert sum(len(line.get_ydata()) for line in axes.lines if line.get_gid() != REFERENCE) == 4


def test_panels_of_one_quantity_have_one_scale_and_stand_side_by_side():
    figure = figure_of("accuracy", 1)
    assert titles(figure) == [
        "fine-tuned, accuracy",
        "from scratch, accuracy",
        "fine-tuned, loss",
        "from scratch, loss",
    ]
    limits = [axes.get_ylim() for axes in figure.axes]
    assert limits[0] == limits[1] != limits[2] == limits[3]


def of_references(axes):
    return [part for part in (*axes.lines, *axes.collections) if part.get_gid() == REFERENCE]


@pytest.mark.parametrize("settings", [2, MANY + 1])
@pytest.mark.parametrize(("measure", "known"), [("ratio", True), ("ratio", False), ("jaccard", True)])
def test_every_reference_is_grey_and_named(measure, known, settings):
    references = (
        {"sign": "sign: if signs were independent", "ceiling": "ceiling: another fine-tuning"}
        if known
        else {"our_own": "our own", "other_one": "other one"}
    )
    figure = figure_of(measure, settings, references=tuple(references))
    if measure == "jaccard" and settings > MANY:  # a heat map
        assert not figure.legends
        return
    assert set(references.values()) <= set(names(figure))
    for axes in figure.axes:
        parts = of_references(axes)
        assert len({part.get_marker() for part in parts if hasattr(part, "get_marker")}) == 2
        drawn = [part for part in parts if hasattr(part, "get_segments") or len(part.get_xdata())]
        colours = [part.get_edgecolor()[0] if hasattr(part, "get_segments") else part.get_color() for part in drawn]
        assert all(same_color(colour, COLOURS["reference"]) for colour in colours)
        levels = {round(value, 9) for part in drawn for value in np.ravel(
            part.get_segments() if hasattr(part, "get_segments") else part.get_data())}  # fmt: skip
        assert 0.17 in levels


def test_only_levels_are_references():
    """Excesses, their intervals and what is at equal strengths stand in other columns."""
    columns = (
        "sign",
        "sign_excess",
        "sign_low",
        "sign_high",
        "equal_mean",
        "equal_sign",
        "equal_sign_excess",
        "low_end",
    )
    for measure, settings in (("ratio", 2), ("jaccard", 2), ("ratio", MANY + 1)):
        figure = figure_of(measure, settings, references=columns)
        assert names(figure)[-2:] == ["sign: if signs were independent", "low end"]


def test_references_of_settings_that_differ_have_marks_in_their_colours():
    over, by_run = tables("jaccard", 2, references=["sign"])
    for differ in (False, True):
        each = over.assign(sign=0.17 + 0.1 * over["setting"] * differ)
        for axes in draw(each, by_run, KEYS["jaccard"], ["sign"], ["a", "b"], "A title").axes:
            faces = [line.get_markerfacecolor() for line in of_references(axes)]
            expected = HUES[:2] if differ else [COLOURS["reference"]]
            assert len(faces) == len(expected)
            assert all(map(same_color, faces, expected))


def test_curves_of_many_magnitudes_have_a_logarithmic_scale():
    over, by_run = (table.rename(columns={"epoch": "order"}) for table in tables("jaccard", 1))
    for least, scale in ((1e-3, "log"), (0.1, "linear"), (0, "linear")):
        over.loc[0, "mean"] = least
        figure = draw(over, by_run, ["model", "order"], [], ["all"], "A title")
        assert [axes.get_yscale() for axes in figure.axes] == [scale] * 2, least
    over.loc[0, "mean"] = 1e-3
    tables_of_epochs = (table.rename(columns={"order": "epoch"}) for table in (over, by_run))
    figure = draw(*tables_of_epochs, KEYS["jaccard"], [], ["all"], "A title")
    assert [axes.get_yscale() for axes in figure.axes] == ["linear"] * 2, "over epochs"


@pytest.mark.parametrize(("level", "ends"), [(-100, True), (-0.5, False), (100, True), (5, False)])
def test_a_reference_far_away_does_not_press_the_curves_flat(level, ends):
    over, by_run = tables("jaccard", 1)
    figure = draw(over.assign(sign=float(level)), by_run, KEYS["jaccard"], ["sign"], ["all"], "A title")
    for axes in figure.axes:
        low, high = axes.get_ylim()
        assert axes.get_yscale() == "linear"
        assert (low <= level <= high) != ends
        words = {
            -100: "▼ below 0: sign: if signs were independent to −100",
            100: "sign: if signs were independent to 100",
        }
        assert words.get(level, "epoch") in " ".join(axes.get_xlabel().split())


def test_curves_far_below_0_end_with_an_arrow():
    """As R² of values that are rebuilt badly."""
    over, by_run = tables("jaccard", 1)
    first, second = ((over["model"] == "scratch") & (over["epoch"] == epoch) for epoch in (0, 1))
    over.loc[first, "mean"], over.loc[second, "mean"] = -37.0, -0.98
    figure = draw(over, by_run, KEYS["jaccard"], [], ["all runs"], "A title")
    assert [axes.get_ylim()[0] for axes in figure.axes] == [-1, -1]
    assert [axes.get_xlabel() for axes in figure.axes] == ["epoch", "epoch\n▼ below −1: all runs to −37"]
    (arrow,) = [line for line in figure.axes[1].lines if list(line.get_ydata()) == [-1.0]]
    assert list(arrow.get_xdata()) == [0]


def test_more_settings_than_colours_are_rows_with_their_names():
    figure = figure_of("jaccard", MANY + 1)
    over, _ = tables("jaccard", MANY + 1)
    first, second = (axes for axes in figure.axes if axes.images)
    assert [label.get_text() for label in first.get_yticklabels()] == [LABEL.format(at) for at in range(MANY + 1)]
    shown = over[over["model"] == "scratch"].pivot(index="setting", columns="epoch", values="mean")
    np.testing.assert_array_equal(second.images[0].get_array(), shown)
    assert first.images[0].get_clim() == second.images[0].get_clim()


@pytest.mark.parametrize(("measure", "settings", "label"), [
    *((measure, settings, LABEL) for measure in KEYS for settings in (1, MANY)),
    ("ratio", 3 * MANY, LABEL), ("jaccard", 3 * MANY, LABEL),
    *(("jaccard", settings, f"{'data.target.train_samples=1000, ' * 6}{LABEL}") for settings in (4, MANY + 1)),
])  # fmt: skip
def test_no_text_is_cut_off_and_no_legend_covers_data(measure, settings, label):
    figure = figure_of(measure, settings, label=label)
    figure.draw_without_rendering()
    drawn = figure.get_tightbbox()  # of all that is drawn, in inches
    assert (drawn.min >= 0).all()
    assert (drawn.max <= figure.get_size_inches()).all()
    for legend in figure.legends:
        assert not any(legend.get_window_extent().overlaps(axes.get_window_extent()) for axes in figure.axes)


@pytest.mark.parametrize("settings", [2, MANY + 1])
@pytest.mark.parametrize("measure", ["ratio", "jaccard"])
def test_what_is_no_number_is_left_out(measure, settings):
    over, by_run = tables(measure, settings)
    over.loc[0, ["mean", "low", "high", "chance"]] = np.inf
    labels = [LABEL.format(setting) for setting in range(settings)]
    for table in (over, over.assign(mean=np.nan, low=np.nan, high=np.nan, chance=np.nan)):
        figure = draw(table, by_run, KEYS[measure], ["chance"], labels, "A title")
        figure.draw_without_rendering()
        limits = np.array([[axes.get_xlim(), axes.get_ylim()] for axes in figure.axes])
        assert np.isfinite(limits).all()


def test_numbers_that_do_not_vary_are_no_axis():
    """All values are of the last epoch: a bar for each."""
    over, by_run = tables("jaccard", 2, epochs=1)
    assert figure_of("jaccard", 2, epochs=1).axes[0].patches
    assert len(over) == 4
    assert len(by_run) == 12
