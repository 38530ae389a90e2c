import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import same_color

from analysis.drawing.references import MARKS, words
from analysis.drawing.style import COLOURS, save
from analysis.loading import load
from conf.measures import ours

REFERENCES = {  # that each table has here
    "decomposition": ["placement", "sign", "task", "other", "ceiling", "class"],
    "ratio": ["placement", "sign", "ceiling"],
    "jaccard": ["placement", "sign"],
    "accuracy": ["chance"],
    "faithfulness": ["shuffled"],
    "knockout": ["placement", "elsewhere"],
    "attribution": ["placement", "task", "ceiling", "other"],
}


def interval(mean, references):
    """An estimate with references: name -> level. Excesses and what is at equal strengths would be far off."""
    mean = np.asarray(mean, dtype=float)
    row = {"mean": mean, "low": 0.9 * mean, "high": 1.1 * mean}
    for name, level in references.items():
        row |= {name: level, f"{name}_excess": 77.0, f"{name}_low": 77.0, f"{name}_high": 77.0}
    return (
        row
        | {"equal_mean": 77.0, "equal_low": 77.0, "equal_high": 77.0}
        | {f"equal_{name}": 77.0 for name in references}
    )


def levels_of(name, first):
    """The references of a measure, .01 apart from the first level up."""
    return {each: first + 0.01 * place for place, each in enumerate(REFERENCES[name])}


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
    rows = [
        pd.DataFrame({"order": orders, "quantity": q, **interval(v, levels_of("decomposition", 0.29))})
        for q, v in parts.items()
    ]
    return pd.concat(rows, ignore_index=True)


def curves_table(name, epochs, quantities, extra):
    """Rows of fine-tuned and scratch over all epochs, and of the model `extra` at epochs of its own."""
    rows = []
    for quantity in quantities:
        for model, speed in (("finetune", 0.5), ("scratch", 0.2)):
            e = np.arange(epochs)
            mean = interval(1 - 0.8 * np.exp(-speed * e), levels_of(name, 0.1 + 0.05 * speed))
            rows.append(pd.DataFrame({"model": model, "epoch": e, "quantity": quantity, **mean}))
        rows.append(
            pd.DataFrame(
                {"model": extra, "epoch": [7, 8], "quantity": quantity, **interval([0.5, 0.6], levels_of(name, 0.15))}
            )
        )
    return pd.concat(rows, ignore_index=True)


def noise_table(n):
    orders = np.arange(n + 1)
    rows = []
    for model in ("pretrain", "finetune", "scratch"):
        for quantity, mean in (("strength", 0.1 * (1 + orders)), ("noise", 2 ** (orders / 2) * 1e-6)):
            data = {"mean": mean, "low": 0.9 * mean, "high": 1.1 * mean, "explained": 1e-4}
            rows.append(pd.DataFrame({"model": model, "order": orders, "quantity": quantity, **data}))
    return pd.concat(rows, ignore_index=True)


def knockout_table():
    names = [(group, name) for group in ("won", "both") for name in ("advantage", "taken", "shared", "new", "flips")]
    rows = pd.DataFrame(names, columns=["group", "quantity"])
    return rows.assign(**interval(np.linspace(-0.5, 2, len(rows)), levels_of("knockout", 0.3)))


def attribution_table():
    pairs = [("pretrain", "finetune"), ("pretrain", "scratch"), ("finetune", "scratch")]
    names = [(*pair, name) for pair in pairs for name in ("cosine", "rank", "top", "counted")]
    rows = pd.DataFrame(names, columns=["first", "second", "quantity"])
    return rows.assign(**interval(np.linspace(-0.2, 0.9, len(rows)), levels_of("attribution", 0.3)))


def table(name, n=5, epochs=4):
    ratio = {
        "definition": ["weighted", "paper", "positive"],
        **interval([0.5, 0.2, 0.4], levels_of("ratio", np.array([0.35, 0.21, 0.41]))),
    }
    jaccard = curves_table("jaccard", epochs, ["jaccard"], "pretrain")
    return {
        "decomposition": lambda: decomposition_table(n),
        "ratio": lambda: pd.DataFrame(ratio),
        "jaccard": lambda: jaccard[jaccard["model"] != "pretrain"].drop(columns="quantity"),
        "accuracy": lambda: curves_table("accuracy", epochs, ["accuracy", "loss"], "pretrain"),
        "faithfulness": lambda: curves_table("faithfulness", epochs, ["salient_share", "rebuilt"], "pretrain"),
        "noise": lambda: noise_table(n),
        "knockout": knockout_table,
        "attribution": attribution_table,
    }[name]()


def draw(name, **sizes):
    return drawn(name, table(name, **sizes))


def drawn(name, data):
    return load(name, {}).figure(data)


def colour_of(artist):
    return artist.get_color()[0] if hasattr(artist, "get_segments") else artist.get_color()


def grey(axes):
    """What is drawn of references: lines and marks with points, and lines across bars."""
    lines = [artist for artist in (*axes.lines, *axes.collections) if hasattr(artist, "get_color")]
    there = [line for line in lines if hasattr(line, "get_segments") or len(line.get_xdata())]
    return [line for line in there if same_color(colour_of(line), COLOURS["reference"])]


def across(axes):
    """The heights of the references' lines across bars, per reference."""
    lines = [line for line in grey(axes) if hasattr(line, "get_segments")]
    return [[round(segment[0][1], 9) for segment in line.get_segments()] for line in lines]


def legend(figure):
    return [text.get_text() for text in figure.legends[0].texts]


def bars(axes, colour):
    return [bar for bar in axes.patches if same_color(bar.get_facecolor(), COLOURS[colour])]


def curve(axes, label):
    return next(line for line in axes.lines if line.get_label() == label)


def test_bars_of_the_decomposition_are_the_table():
    data = table("decomposition").pivot(index="order", columns="quantity", values="mean")
    data, axes = data.loc[1:], draw("decomposition").axes[1]
    for part, sign, total in (("discarded", 1, "pretrain"), ("new", -1, "finetune")):
        outer = bars(axes, part)
        np.testing.assert_allclose([bar.get_height() for bar in outer], sign * data[part])
        np.testing.assert_allclose([bar.get_y() for bar in outer], sign * data["preserved"])
        np.testing.assert_allclose([bar.get_y() + bar.get_height() for bar in outer], sign * data[total])
        np.testing.assert_allclose([bar.get_x() + bar.get_width() / 2 for bar in outer], data.index)
    preserved = [bar.get_height() for bar in bars(axes, "preserved")]
    np.testing.assert_allclose(preserved, [*data["preserved"], *-data["preserved"]])


def test_order_0_has_a_scale_of_its_own_in_both_halves():
    data = table("decomposition", n=3)
    data[["mean", "low", "high"]] = data[["mean", "low", "high"]].where(data["order"] > 0, 100.0)
    apart, others, apart_summed, others_summed = drawn("decomposition", data).axes
    assert [axes.get_xticks().tolist() for axes in (apart, others)] == [[0], [1, 2, 3]]
    assert apart.get_ylim()[1] == apart_summed.get_ylim()[1] > 100
    assert others.get_ylim()[1] < others_summed.get_ylim()[1] < 10
    assert "own scale" in apart.get_title()


def test_the_right_half_of_the_decomposition_sums_over_the_subsets_of_an_order():
    each, summed = draw("decomposition", n=3).axes[1::2]
    heights = [[bar.get_height() for bar in bars(axes, "discarded")] for axes in (each, summed)]
    np.testing.assert_allclose(heights[1], np.multiply(heights[0], [3, 3, 1]))
    assert each.figure.get_suptitle() == "mean over the subsets of an order"
    assert summed.figure.get_suptitle() == "sum over the subsets of an order"


def test_references_of_the_decomposition_are_lines_across_the_preserved_part():
    apart, others = draw("decomposition", n=3).axes[:2]
    levels = [0.29, 0.30, 0.31, 0.32, 0.33, 0.34]
    assert across(apart) == [[level] for level in levels]
    assert across(others) == [3 * [level] for level in levels]


def test_references_do_not_cover_bars_that_are_too_thin_for_them():
    data = table("decomposition", n=3)
    thin = (data["quantity"] == "preserved") & (data["order"] == 2)
    data.loc[thin, "mean"] = 0.01
    lines = [line for line in grey(drawn("decomposition", data).axes[1]) if hasattr(line, "get_segments")]
    for line in lines:
        assert [segment[:, 0].mean() for segment in line.get_segments() if len(segment)] == [1, 3]


@pytest.mark.parametrize("orders", [[0], [2], [0, 1], [1, 2, 3]])
def test_any_orders_may_be_there(orders):
    data = table("decomposition", n=3)
    figure = drawn("decomposition", data[data["order"].isin(orders)])
    figure.draw_without_rendering()
    assert len(figure.axes) == 2 * len({order > 0 for order in orders})


def test_decomposition_counts_upwards_on_both_sides():
    for axes in draw("decomposition").axes:
        assert axes.yaxis.get_major_formatter()(-0.5, None) == "0.5"
        assert axes.get_ylim()[0] == -axes.get_ylim()[1]


def test_ratio_draws_each_definition_its_references_and_the_papers_band():
    figure = draw("ratio")
    (axes,) = figure.axes
    band, *drawn = axes.patches
    assert [bar.get_height() for bar in drawn] == [0.2, 0.4, 0.5]  # in the order paper, positive, weighted
    assert across(axes) == [[0.21, 0.41, 0.35], [0.22, 0.42, 0.36], [0.23, 0.43, 0.37]]
    assert (band.get_y(), band.get_y() + band.get_height()) == pytest.approx((0.13, 0.45))
    assert "20.0%" in axes.get_xticklabels()[0].get_text()
    assert {"placement: strengths alone", "ceiling: another fine-tuning in place of scratch"} <= set(legend(figure))


def test_jaccard_curves_are_the_table():
    data = table("jaccard")
    axes = draw("jaccard").axes[0]
    for model, label, fill in (("finetune", "fine-tuned", "full"), ("scratch", "from scratch", "none")):
        rows = data[data["model"] == model]
        np.testing.assert_array_equal(curve(axes, label).get_ydata(), rows["mean"])
        for name in REFERENCES["jaccard"]:
            lines = [line for line in axes.lines if line.get_label() == words(name) and line.get_fillstyle() == fill]
            np.testing.assert_array_equal(lines[0].get_ydata(), rows[name])


def test_references_that_models_share_are_one_line():
    figure = drawn("jaccard", table("jaccard").assign(placement=0.17, sign=np.nan))
    (line,) = grey(figure.axes[0])
    np.testing.assert_array_equal(line.get_ydata(), 0.17)
    assert not any("open" in text for text in legend(figure)), "no model has marks of its own"
    assert any("open: from scratch" in text for text in legend(draw("jaccard")))


def test_whose_references_are_whose_is_said():
    every, data = legend(draw("faithfulness")), table("faithfulness")
    assert "grey marks filled: fine-tuned, half: pre-trained, open: from scratch" in every
    for model, says in (
        ("finetune", "half: pre-trained, open: from scratch"),
        ("pretrain", "filled: fine-tuned, open"),
    ):
        assert any(
            text.startswith(f"grey marks {says}")
            for text in legend(drawn("faithfulness", data[data["model"] != model]))
        )
    shared = data.assign(shuffled=data["shuffled"].where(data["model"] == "pretrain", 0.3))
    assert "grey marks filled: fine-tuned and from scratch, half: pre-trained" in legend(drawn("faithfulness", shared))


@pytest.mark.parametrize(("schedule", "says"), [
    (None, []),
    ({"finetune": "cosine", "scratch": "cosine"}, ["learning rate: cosine, falls to 0: the last epochs can't differ"]),
    ({"finetune": "constant"}, ["learning rate: constant"]),
    ({"finetune": "step"}, ["learning rate: falls in steps"]),
    ({"finetune": "cosine", "scratch": "constant"},
     ["learning rate: fine-tuned: cosine, falls to 0: the last epochs can't differ", "from scratch: constant"]),
])  # fmt: skip
def test_jaccard_names_the_schedule_if_it_is_known(schedule, says):
    data = table("jaccard")
    data.attrs |= {"schedule": schedule} if schedule else {}
    assert drawn("jaccard", data).axes[0].get_xlabel().splitlines() == ["epoch", *says]


def test_a_bad_fit_is_an_arrow_at_the_end_of_the_axis_and_a_number():
    data = table("faithfulness")
    rebuilt = (data["quantity"] == "rebuilt") & (data["model"] == "scratch")
    data.loc[rebuilt & (data["epoch"] == 1), ["mean", "shuffled"]] = -40.0, -1234.0
    axes = drawn("faithfulness", data).axes[1]
    assert axes.get_yscale() == "linear"
    assert axes.get_ylim()[0] == -1
    note = " ".join(axes.get_xlabel().split())
    assert note == "epoch ▼ below −1: from scratch to −40, values shuffled to −1.23e+03"
    arrows = [line for line in axes.lines if list(line.get_ydata()) == [-1.0]]
    assert [list(line.get_xdata()) for line in arrows] == [[1], [1]]


@pytest.mark.parametrize("name", ["accuracy", "faithfulness"])
def test_a_model_with_other_epochs_is_a_line_at_its_last_value(name):
    for axes in draw(name).axes:
        assert list(curve(axes, "pre-trained").get_ydata()) == [0.6, 0.6]
        assert max(curve(axes, "fine-tuned").get_xdata()) == 3


@pytest.mark.parametrize("name", ["accuracy", "faithfulness"])
def test_a_model_without_epochs_may_be_alone_with_its_reference(name):
    data = table(name)
    figure = drawn(name, data[data["model"] == "pretrain"])
    for axes in figure.axes:
        assert list(curve(axes, "pre-trained").get_ydata()) == [0.6, 0.6]
        assert [list(line.get_ydata()) for line in grey(axes)] == [[0.15, 0.15, 0.15]]
        assert len(axes.get_xticks()) == 0


@pytest.mark.parametrize("name", ["jaccard", "accuracy", "faithfulness", "noise"])
@pytest.mark.parametrize("model", ["finetune", "scratch"])
def test_a_model_may_be_left_out(name, model):
    data = table(name)
    figure = drawn(name, data[data["model"] != model])
    figure.draw_without_rendering()
    names = " ".join(legend(figure))
    assert {"finetune": "fine-tuned", "scratch": "from scratch"}[model] not in names
    assert {"finetune": "from scratch", "scratch": "fine-tuned"}[model] in names


def test_noise_is_drawn_on_a_log_axis():
    axes = draw("noise").axes[0]
    assert axes.get_yscale() == "log"
    np.testing.assert_allclose(curve(axes, "fine-tuned: strength").get_ydata(), 0.1 * (1 + np.arange(6)))
    np.testing.assert_allclose(curve(axes, "fine-tuned: noise").get_ydata(), 2 ** (np.arange(6) / 2) * 1e-6)


@pytest.mark.parametrize("name", REFERENCES)
def test_every_panel_shows_references_and_no_excess(name):
    for axes in draw(name).axes:
        assert grey(axes)
        assert axes.get_ylim()[1] < 77


@pytest.mark.parametrize("name", REFERENCES)
def test_missing_intervals_and_references_are_left_out(name, tmp_path):
    data = table(name)
    figure = drawn(name, data.assign(**dict.fromkeys(["low", "high", *REFERENCES[name]], np.nan)))
    save(figure, tmp_path, name)
    assert not any(grey(axes) for axes in figure.axes)
    assert not set(legend(figure)) & {mark.words for mark in MARKS.values()}


ELSEWHERE = {"cka", "logme", "spectrum", "transfer", "tsne", "training"}  # test_representations.py, test_training.py
OURS = sorted({*ours()} - ELSEWHERE)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", OURS)
@pytest.mark.parametrize("value", [np.nan, 0.0, np.inf])
def test_numbers_that_say_nothing_are_drawn(name, value, tmp_path):
    data = table(name, n=2, epochs=2)
    numbers = [column for column in data.select_dtypes("number") if column not in ("order", "epoch")]
    figure = drawn(name, data.assign(**dict.fromkeys(numbers, value)))
    save(figure, tmp_path, name)
    limits = np.array([[*axes.get_xlim(), *axes.get_ylim()] for axes in figure.axes])
    assert np.isfinite(limits).all()


@pytest.mark.parametrize("name", OURS)
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
