"""How trainings went: the measure says what metrics.csv and the predictions say; its table, its figure, its refusal."""

import numpy as np
import pytest

from analysis.drawing.style import save
from analysis.formulas.accuracy import Outcomes
from analysis.loading import load
from analysis.measured import Measured
from analysis.statistics.estimate import binomial
from analysis.study import Curves, Options, Study
from analysis.tables import levels_of, unusable

TEST, SOURCE, EPOCHS = 30, 45, 4


def curves(losses, accuracy):
    """Of a training whose training loss is half of its test loss."""
    test = np.stack([losses.mean(0), accuracy], axis=1)
    train = test / 2
    train[0] = np.nan
    return Curves(train, test, losses)


@pytest.fixture
def study():
    draw = np.random.default_rng(2)
    study = Study(None, {}, {}, Options(False, 0.05, True, False, 5, 300, 0))
    study.labels = np.array([0] * 12 + [1] * 9 + [2] * 9)
    for model in ("finetune", "scratch"):
        correct = (draw.random((TEST, EPOCHS)) < 0.6).astype(float)
        study.outcomes[model] = Outcomes(correct, draw.exponential(size=(TEST, EPOCHS)))
        study.curves[model] = curves(study.outcomes[model].losses, correct.mean(0))
    shares = np.array([9, 18, 27, 36]) / SOURCE
    study.curves = {"pretrain": curves(draw.exponential(size=(SOURCE, EPOCHS)), shares)} | study.curves
    return study


@pytest.fixture
def table(study):
    measure = load("training", {})
    return measure.table(measure.samples(study))[0].set_index(["model", "quantity", "epoch"]).sort_index()


def test_a_row_for_each_model_quantity_and_epoch(table):
    assert unusable(table.reset_index()) == ""
    assert levels_of(list(table.reset_index())) == ["chance"]
    for model in ("pretrain", "finetune", "scratch"):
        for name in ("loss", "accuracy"):
            assert table.loc[model, f"test_{name}"].index.tolist() == [0, 1, 2, 3]
            assert table.loc[model, f"train_{name}"].index.tolist() == [1, 2, 3], "nothing is trained in epoch 0"


def test_what_was_tested_has_intervals_over_its_inputs(study, table):
    for model in ("finetune", "scratch"):
        correct, losses = study.outcomes[model]
        rows = table.loc[model, "test_accuracy"]
        np.testing.assert_allclose(rows["mean"], correct.mean(0))
        np.testing.assert_allclose(table.loc[model, "test_loss"]["mean"], losses.mean(0))
        assert (rows["low"] < rows["mean"]).all()
        assert rows["chance"].unique().tolist() == [12 / 30]
    rows = table.loc["pretrain", "test_accuracy"]
    expected = [binomial(share, SOURCE, TEST).own for share in study.curves["pretrain"].test[:, 1]]
    np.testing.assert_allclose(rows[["mean", "low", "high"]], [each[:3] for each in expected])
    losses = study.curves["pretrain"].losses
    half = 2.015368 * losses.std(0, ddof=1) / np.sqrt(SOURCE)  # Student's t with 44 degrees of freedom
    rows = table.loc["pretrain", "test_loss"]
    np.testing.assert_allclose(rows["high"] - rows["mean"], half, rtol=1e-5)
    assert rows["chance"].isna().all()


def test_what_was_trained_has_the_values_of_the_training_and_no_interval(study, table):
    for model, each in study.curves.items():
        for place, name in enumerate(("loss", "accuracy")):
            rows = table.loc[model, f"train_{name}"]
            np.testing.assert_array_equal(rows["mean"], each.train[1:, place])
            assert rows[["low", "high", "chance"]].isna().all(axis=None)


def test_what_is_kept_gives_the_same_table_and_figure(study, tmp_path):
    measure = load("training", {})
    measured = measure.samples(study)
    measured.write(tmp_path / "kept.npz", "digits/test", np.arange(TEST), {})
    with np.load(tmp_path / "kept.npz") as kept:
        again = Measured.read(kept)
    first, second = (measure.table(each)[0] for each in (measured, again))
    assert first.equals(second)
    figure = measure.figure(second)
    drawn = figure.get_tightbbox()
    assert (drawn.min >= -0.01).all()
    assert (drawn.max <= figure.get_size_inches() + 0.01).all()
    curve = figure.axes[1].lines[0]
    assert curve.get_label() == "pre-trained, test set"
    np.testing.assert_allclose(curve.get_ydata(), study.curves["pretrain"].test[:, 1])


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("value", [np.nan, 0.0, np.inf])
def test_numbers_that_say_nothing_are_drawn(study, value, tmp_path):
    measure = load("training", {})
    made, _ = measure.table(measure.samples(study))
    figure = measure.figure(made.assign(**dict.fromkeys(("mean", "low", "high", "chance"), value)))
    save(figure, tmp_path, "training")
    limits = np.array([[*axes.get_xlim(), *axes.get_ylim()] for axes in figure.axes])
    assert np.isfinite(limits).all()


def test_it_needs_a_training_on_the_target_task(study):
    assert load("training", {}).lacking(study) == ""
    study.curves = {"pretrain": study.curves["pretrain"]}
    assert (
        load("training", {}).lacking(study)
        == "no fine-tuned model and no model trained from scratch that was trained here"
    )
