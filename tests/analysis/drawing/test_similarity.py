"""Figures on the similarity of layers, of one run and over runs, from tables that are made by hand."""

from itertools import product

import numpy as np
import pandas as pd
import pytest

from analysis.drawing.references import words
from analysis.drawing.similarity import figure
from analysis.drawing.similarity_over_runs import bars, over_epochs, two_starts

LAYERS = ("block1", "block2", "block3", "block4", "logits")
MANY = (*(f"encoder.layers.encoder_layer_{at}" for at in range(17)), "logits")
PAIRS = (("pretrain", "initial"), ("finetune", "pretrain"), ("finetune", "initial"), ("scratch", "initial"))


def table(layers=LAYERS, pairs=PAIRS, epochs=(0, 1, 5), matrix=True) -> pd.DataFrame:
    """CKA falls with the layer and the epoch; logits of fine-tuned models have no random move."""
    rows = [("cka", *pair, layer, epoch, 1 - 0.02 * at * epoch, np.nan if layer == "logits" else 1 - 0.01 * at * epoch)
            for pair, epoch, (at, layer) in product(pairs, epochs, enumerate(layers))]  # fmt: skip
    rows += [("p", *pair, layer, epochs[-1], 0.01, np.nan) for pair, layer in product(pairs, layers)]
    found = pd.DataFrame(rows, columns=["quantity", "model", "against", "layer", "epoch", "mean", "random"])
    found = found.assign(low=found["mean"] - 0.05, high=found["mean"] + 0.05)
    if matrix:
        places = np.arange(len(layers))
        found.attrs["matrix"] = {"/".join(pair): 1 - abs(places[:, None] - places) / len(layers) for pair in pairs}
        found.attrs["layers"] = list(layers)
    return found


def is_whole(made) -> bool:
    """Whether no word is cut off at the edge of the figure."""
    made.draw_without_rendering()
    box, size = made.get_tightbbox(), made.get_size_inches()
    return bool(box.x0 >= 0 and box.y0 >= 0 and box.x1 <= size[0] and box.y1 <= size[1])


def named(axes) -> dict:
    return {line.get_label(): line for line in axes.lines}


def test_each_layer_is_a_line_over_epochs_with_the_random_move_in_grey():
    made = figure(table())
    axes = next(axes for axes in made.axes if axes.get_title() == "fine-tuned against pre-trained")
    assert [axes.get_title() for axes in made.axes if axes.get_title()] == [
        "pre-trained against initial", "fine-tuned against pre-trained", "fine-tuned against initial",
        "from scratch against initial"]  # fmt: skip
    lines = named(axes)
    np.testing.assert_allclose(lines["block3"].get_data(), [(0, 1, 5), (1, 0.96, 0.8)])
    grey = [line for line in axes.lines if line.get_label().startswith(words("random"))]
    assert len(grey) == 4, "none of the logits"
    np.testing.assert_allclose(grey[2].get_ydata(), [1, 0.98, 0.9])
    assert [line.get_marker() for line in grey] == [lines[layer].get_marker() for layer in LAYERS[:4]]
    assert is_whole(made)


def test_the_matrix_has_a_number_in_each_field_a_row_for_each_layer_of_the_first_model():
    found = table(pairs=PAIRS[1:2])
    found.attrs["matrix"]["finetune/pretrain"] = np.arange(25).reshape(5, 5) / 25
    _, axes = figure(found).axes
    texts = {text.get_position(): text.get_text() for text in axes.texts}
    assert len(texts) == 25
    assert texts[4, 0] == "0.16", "of block1 of the fine-tuned model, and the logits of the pre-trained one"
    assert [axes.get_ylabel(), axes.get_xlabel()] == ["fine-tuned", "pre-trained"]


@pytest.mark.parametrize("given", [
    {"matrix": False}, {"epochs": (3,)}, {"layers": ("logits",), "epochs": (0,)}, {"layers": MANY, "pairs": PAIRS[:3]},
    {"pairs": PAIRS[:1]}, {"pairs": (("finetune", "finetune@5"),), "matrix": False},
])  # fmt: skip
def test_tables_of_any_size_are_drawn_whole(given):
    found = table(**given)
    made = figure(found)
    pairs, has = len(given.get("pairs", PAIRS)), given.get("matrix", True)
    assert len(made.axes) == pairs * (1 + has)
    assert is_whole(made)


def test_layers_without_a_number_leave_a_gap():
    found = table(pairs=PAIRS[:1])
    found.loc[found["layer"] == "block2", ["mean", "low", "high", "random"]] = np.nan
    found.attrs["matrix"]["pretrain/initial"][1] = np.nan
    above, below = figure(found).axes
    assert "block2" not in named(above)
    assert [text.get_text() for text in below.texts].count("") == 5


def over_runs(layers=LAYERS, settings=3, **given) -> pd.DataFrame:
    parts = [table(layers, matrix=False, **given).assign(setting=at) for at in range(settings)]
    found = pd.concat(parts)
    found = found[found["quantity"] == "cka"].assign(standard_error=0.02)
    found["mean"] -= 0.1 * found["setting"]
    found[["low", "high"]] -= 0.1 * found["setting"].to_numpy()[:, None]
    return found.assign(another_training=np.where(found["against"] == "pretrain", 0.95, np.nan))


def test_bars_tell_standard_error_and_interval_apart():
    rows = over_runs(epochs=(5,))
    made = bars(rows, ["0", "4", "9"], "data.labels.random")
    axes = next(axes for axes in made.axes if axes.get_title() == "fine-tuned against pre-trained")
    heights = np.array([bar.get_height() for bar in axes.patches])
    np.testing.assert_allclose(heights, [1 - 0.1 * at - 0.1 * setting for setting in range(3) for at in range(5)])
    lengths = {}
    for lines in axes.collections:
        if np.ravel(lines.get_color()).tolist() == [0, 0, 0, 1]:  # black
            ends = [segment[:, 1] for segment in lines.get_segments()]
            lengths.setdefault(float(lines.get_linewidth()[0]), []).extend(np.ptp(ends, axis=1))
    assert set(lengths) == {0.9, 2.6}
    np.testing.assert_allclose(lengths[0.9], 0.1)
    np.testing.assert_allclose(lengths[2.6], 0.04)
    legend = [text.get_text() for text in made.legends[0].get_texts()]
    assert legend[:3] == ["data.labels.random=0", "data.labels.random=4", "data.labels.random=9"]
    assert {words("random"), words("another_training"), "thick: standard error", "thin: 95 % interval"} <= set(legend)
    assert is_whole(made)


def test_final_models_stand_against_both_starts_in_each_setting():
    made = two_starts(over_runs(epochs=(5,)), ["original", "random", "shifted"])
    assert [axes.get_title() for axes in made.axes] == ["original", "random", "shifted"]
    lines = named(made.axes[1])
    for name in ("against pre-trained", "against initial"):
        np.testing.assert_allclose(lines[name].get_ydata(), [0.9, 0.8, 0.7, 0.6, 0.5])
    assert is_whole(made)


def test_curves_over_epochs_have_a_row_of_panels_for_each_of_some_settings():
    made = over_epochs(over_runs(settings=8, pairs=PAIRS[:2], epochs=(0, 5)), [f"d={at}" for at in range(8)])
    assert len(made.axes) == 6 * 2
    assert "the first 6 of 8 settings" in " ".join(made.get_suptitle().split())
    assert made.axes[2].get_title() == "d=1\npre-trained against initial"
    np.testing.assert_allclose(named(made.axes[2])["block2"].get_ydata(), [0.9, 0.8])
    assert is_whole(made)


def test_many_layers_and_settings_are_drawn_whole():
    rows = over_runs(MANY, 12, pairs=PAIRS[1:3], epochs=(5,))
    labels = [f"data.labels.random={at}, data.target.train_samples={50 * at}" for at in range(12)]
    assert is_whole(bars(rows, labels))
    assert is_whole(two_starts(rows, labels))
