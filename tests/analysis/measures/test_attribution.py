"""On models whose agreement is known: what counts, what is found, and what is left out."""

import numpy as np
import pandas as pd
import pytest

from analysis.formulas.attribution import WAYS, agreement, by_placement, scores
from analysis.loading import load
from analysis.measured import Measured
from analysis.tables import levels_of, unusable
from interactions.indices import shapley

SAMPLES, N = 40, 4
PAIRS = [("pretrain", "finetune"), ("pretrain", "scratch"), ("finetune", "scratch")]


def drawn(seed: int, samples: int = SAMPLES) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(samples, 2**N))


@pytest.fixture
def models():
    """Fine-tuned is near the pre-trained model; scratch has nothing of it."""
    return drawn(0), drawn(0) + 0.3 * drawn(1), drawn(2)


@pytest.fixture
def study(study_of, models):
    return study_of(models[0], [drawn(9), models[1]], [models[2]])


def found(study):
    return load("attribution", {}).samples(study)


def rows(measured) -> pd.DataFrame:
    table = load("attribution", {}).table(measured)[0]
    assert unusable(table) == ""
    return table.set_index(["first", "second", "quantity"]).sort_index()


def compared(first, second, way, of=agreement):
    return of(*(scores(shapley(each), way) for each in (first, second)))


def test_agreement_is_that_of_the_shapley_values_after_the_last_epoch(study, models):
    measured, table, strength = found(study), rows(found(study)), dict(zip(study.models, models, strict=True))
    assert levels_of(list(table.reset_index())) == ["placement", "task"]
    for model, each in strength.items():
        np.testing.assert_allclose(measured.about[f"shapley/{model}"], shapley(each), atol=1e-9)
    for pair in PAIRS:
        for way in WAYS:
            expected = [compared(*(strength[model] for model in pair), way, of) for of in (agreement, by_placement)]
            np.testing.assert_allclose(measured.observed[f"{way}/{'-'.join(pair)}"], expected[0], atol=1e-9)
            row = table.loc[(*pair, way)]
            assert [row["mean"], row["placement"]] == pytest.approx([each.mean() for each in expected])
            half = 2.0226909 * expected[0].std(ddof=1) / np.sqrt(SAMPLES)  # Student's t, 39 degrees of freedom
            assert row["high"] - row["mean"] == pytest.approx(half, rel=1e-4)
            assert row["placement_low"] < row["placement_excess"] < row["placement_high"]


def test_the_task_reference_is_how_much_scratch_agrees_with_the_pre_trained_model(study):
    table = rows(found(study))
    for way in WAYS:
        kept = table.loc[("pretrain", "finetune", way)]
        assert kept["task"] == table.loc[("pretrain", "scratch", way), "mean"]
        assert kept["task_low"] > 0, "fine-tuned is near the pre-trained model"
    assert table.drop(index="pretrain")["task"].isna().all()


def test_equal_models_agree_fully(study_of, models):
    table = rows(found(study_of(models[0], [models[0]], [2 * models[0]])))
    np.testing.assert_allclose(table[["mean", "low", "high"]], 1, atol=1e-7)
    for pair in PAIRS:
        assert table.loc[(*pair, "rank"), "placement"] == pytest.approx(-1 / 23)  # of 24 ways, 0 without the own one
        assert table.loc[(*pair, "top"), "placement"] == pytest.approx(5 / 23)  # 6 of 24


def part_of(measured: Measured, samples: slice) -> Measured:
    """What would have been found on these samples alone."""
    levels = {
        name: {key: array[samples] for key, array in level.items()} for name, level in measured.references.items()
    }
    return Measured({key: array[samples] for key, array in measured.observed.items()}, levels)


def test_models_without_anything_in_common_reach_the_reference(study_of):
    """All variables speak for the class on average, as in a model that is right: the cosine is far above 0. The true
    excess is 0, so that nineteen of twenty intervals hold it."""
    repeats, inside = 60, []
    each = [abs(drawn(seed, repeats * SAMPLES)) for seed in range(3)]
    measured = found(study_of(each[0], [each[1]], [each[2]]))
    for repeat in range(repeats):
        table = rows(part_of(measured, slice(repeat * SAMPLES, (repeat + 1) * SAMPLES)))
        assert table.loc[("pretrain", "finetune", "cosine"), "low"] > 0.5
        for row in (table.loc[("pretrain", "finetune", way)] for way in WAYS):
            inside += [row[f"{name}_low"] < 0 < row[f"{name}_high"] for name in ("placement", "task")]
    assert np.mean(inside) == pytest.approx(0.95, abs=0.03)


def test_options_that_leave_interactions_out_or_scale_them_change_nothing(study_of, models):
    """Only all interactions add up to the answer."""
    pretrain, finetune, scratch = models
    plain = rows(found(study_of(pretrain, [finetune], [scratch])))
    options = {"salient": True, "tau": 0.5, "normalise": True, "empty_set": False}
    pd.testing.assert_frame_equal(rows(found(study_of(pretrain, [finetune], [scratch], **options))), plain)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("noise", [0.0, 1e-6])
def test_samples_without_credit_are_left_out_and_said(study_of, models, noise):
    """Scratch answers the same to every masked input of ten samples, but for noise."""
    scratch = models[2].copy()
    scratch[:10, 1:] = 0
    measured = found(study_of(models[0], [models[1]], [scratch], noise=noise))
    table, rest = rows(measured), slice(10, None)
    assert np.isnan(measured.about["shapley/scratch"]).all(1).tolist() == 10 * [True] + 30 * [False]
    for way in WAYS:
        assert not measured.observed[f"{way}/pretrain-scratch"][:10].any()
        expected = compared(models[0][rest], scratch[rest], way).mean()
        assert table.loc[("pretrain", "scratch", way), "mean"] == pytest.approx(expected, rel=1e-4)
        assert table.loc[("pretrain", "finetune", way), "task"] == pytest.approx(expected, rel=1e-4)
    assert [table.loc[(*pair, "counted"), "mean"] for pair in PAIRS] == [1, 0.75, 0.75]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("kept", [0, 4])
def test_of_few_samples_nothing_is_estimated(study_of, models, kept):
    scratch = models[2].copy()
    scratch[kept:, 1:] = 0
    table = rows(found(study_of(models[0], [models[1]], [scratch])))
    numbers = table.loc[("pretrain", "scratch")].loc[list(WAYS)]
    assert numbers[["low", "high", "placement_low", "placement_high"]].isna().all(axis=None)
    assert numbers["mean"].isna().all() == (kept == 0)
    assert table.loc[("pretrain", "finetune")].loc[list(WAYS), ["mean", "low", "high"]].notna().all(axis=None)


def test_two_models_are_needed(study_of, models):
    measure = load("attribution", {})
    assert measure.lacking(study_of(models[0], [], [])) == "no second model"
    both = study_of(None, [models[1]], [models[2]])
    assert measure.lacking(both) == ""
    table = rows(found(both))
    assert set(table.index.droplevel("quantity")) == {("finetune", "scratch")}
    assert levels_of(list(table.reset_index())) == ["placement"]


def test_further_runs_stand_in(study_of, study, models):
    again, strange = (study_of(drawn(seed), [drawn(seed + 1)], [drawn(seed + 2)]) for seed in (20, 30))
    third = study_of(None, [drawn(40)], [])
    across = load("attribution", {}).module.across(study, [again, third], [strange])
    table = rows(found(study).with_references(across))
    for way in WAYS:
        level = np.mean([compared(models[1], drawn(seed), way).mean() for seed in (21, 40)])
        for pair in (PAIRS[0], PAIRS[2]):
            assert table.loc[(*pair, way), "ceiling"] == pytest.approx(level)
        assert table.loc[(*PAIRS[0], way), "other"] == pytest.approx(compared(models[0], drawn(31), way).mean())
        assert table.loc[(*PAIRS[1], way), ["ceiling", "other"]].isna().all()


def test_without_further_runs_there_are_no_further_references(study):
    assert load("attribution", {}).module.across(study, [], []).references == {}


def test_the_figure_has_a_bar_for_each_pair(study):
    measure = load("attribution", {})
    table = measure.table(measure.samples(study))[0]
    figure, means = measure.figure(table), rows(found(study))["mean"]
    for axes, way in zip(figure.axes, WAYS, strict=True):
        heights = [bar.get_height() for bar in axes.patches]
        assert heights == pytest.approx([means[*pair, way] for pair in PAIRS])
        assert [text.get_text().split(",\n") for text in axes.get_xticklabels()] == [
            ["pre-trained", "fine-tuned"], ["pre-trained", "from scratch"], ["fine-tuned", "from scratch"]]  # fmt: skip
