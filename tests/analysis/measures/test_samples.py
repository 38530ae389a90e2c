"""What each measure finds for each sample, and under chance, against the formulas; and the tables that follow."""

import numpy as np
import pytest

from analysis.formulas.accuracy import Outcomes
from analysis.formulas.decomposition import decompose
from analysis.formulas.faithfulness import faithfulness
from analysis.formulas.jaccard import jaccard
from analysis.formulas.ratio import learned, terms
from analysis.loading import load
from analysis.measured import Measured
from analysis.statistics.chance import permuted
from conf.measures import ours
from interactions.mobius import orders, values

MODELS = ("pretrain", "finetune", "scratch")


@pytest.fixture
def models():
    return np.random.default_rng(1).normal(size=(5, 8, 16))


@pytest.fixture
def study(study_of, models):
    pretrain, early, finetune, untrained, scratch = models
    study = study_of(pretrain, [early, finetune], [untrained, scratch])
    correct = (np.random.default_rng(4).random((2, 30, 3)) < 0.5).astype(float)
    study.outcomes = {model: Outcomes(right, 2 - right) for model, right in zip(MODELS[1:], correct, strict=True)}
    study.labels = np.arange(30) % 4
    return study


def found(study, name, **options):
    return load(name, options).samples(study)


def table(study, name, **options):
    measure, measured = load(name, options), found(study, name, **options)
    return measure.table(measured, study.weights(measured.samples))


@pytest.mark.parametrize("name", ours())
def test_every_value_lies_in_its_interval_and_has_a_reference(study, name):
    made = table(study, name)
    bounded = made[made["low"].notna()] if name == "noise" else made
    assert len(bounded)
    assert (bounded["low"] <= bounded["mean"] + 1e-12).all()
    assert (bounded["mean"] <= bounded["high"] + 1e-12).all()
    reference = made[made["quantity"] == "noise"]["explained"] if name == "noise" else made["chance"]
    assert np.isfinite(reference).all()


@pytest.mark.parametrize("name", ours())
def test_what_is_kept_is_per_sample(study, name, tmp_path):
    measured = found(study, name)
    samples = 30 if name == "accuracy" else 8
    measured.write(tmp_path / "kept.npz", "digits-1f2e/test", np.arange(samples))
    with np.load(tmp_path / "kept.npz") as kept:
        assert str(kept["data"]) == "digits-1f2e/test"
        assert kept["index"].tolist() == list(range(samples))
        for key, array in measured.observed.items():
            assert kept[key].shape[0] == samples
            np.testing.assert_array_equal(kept[key], array)
        for key, array in measured.references.get("chance", {}).items():
            assert kept[f"chance/{key}"].shape == (5, *measured.observed[key].shape)
            np.testing.assert_array_equal(kept[f"chance/{key}"], array)
        assert {f"about/{key}" for key in measured.about} <= set(kept)


def test_strengths_are_means_per_order_of_the_last_epochs(study, models):
    pretrain, finetune = models[0], models[2]
    parts = (abs(pretrain), abs(finetune), *decompose(pretrain, finetune))
    measured = found(study, "decomposition")
    means = table(study, "decomposition").set_index(["order", "quantity"])["mean"]
    names = ("pretrain", "finetune", "preserved", "discarded", "new")
    for name, strength in zip(names, parts, strict=True):
        for k in range(5):
            expected = strength[:, orders(4) == k].mean(1)
            np.testing.assert_allclose(measured.observed[name][:, k], expected, rtol=1e-9, atol=1e-12)
            assert means[k, name] == pytest.approx(expected.mean())
    assert len(means) == 25


def test_chance_permutes_the_fine_tuned_model_only(study, models):
    measured = found(study, "decomposition")
    chance = measured.references["chance"]
    for draw, permutation in enumerate(study.permutations):
        expected = decompose(models[0], permuted(models[2], permutation)).preserved
        np.testing.assert_allclose(chance["preserved"][draw] @ [1, 4, 6, 4, 1], expected.sum(1), rtol=1e-9)
        for name in (
            "pretrain",
            "finetune",
        ):  # strengths per order stay, apart from orders 0 and n, which change samples
            np.testing.assert_allclose(chance[name][draw].mean(0), measured.observed[name].mean(0), rtol=1e-9)


def test_the_ratio_is_that_of_the_formulas_and_its_chance_leaves_what_is_preserved(study, models):
    measured = found(study, "ratio")
    preserved = decompose(models[0], models[2]).preserved
    expected = terms(preserved, learned(preserved, models[0], models[4]))
    means = table(study, "ratio").set_index("definition")["mean"]
    for name, (above, below) in expected.items():
        np.testing.assert_allclose(measured.observed[f"{name}/learned"], above, rtol=1e-9)
        np.testing.assert_allclose(measured.observed[f"{name}/preserved"], below, rtol=1e-9)
        assert means[name] == pytest.approx(above.mean() / below.mean())
    chance = measured.references["chance"]
    for draw in range(5):
        np.testing.assert_array_equal(chance["weighted/preserved"][draw], measured.observed["weighted/preserved"])
        assert (chance["weighted/learned"][draw] != measured.observed["weighted/learned"]).any()


def test_similarities_are_to_the_last_epoch(study, models):
    measured = found(study, "jaccard")
    assert measured.about["epochs/finetune"].tolist() == [0, 1]
    for model, first, last in (("finetune", models[1], models[2]), ("scratch", models[3], models[4])):
        observed, draws = measured.observed[model], measured.references["chance"][model]
        np.testing.assert_allclose(observed[:, 0], jaccard(first, last), rtol=1e-9)
        np.testing.assert_array_equal(observed[:, 1], 1)
        for draw, permutation in zip(draws, study.permutations, strict=True):
            np.testing.assert_allclose(draw[:, 0], jaccard(permuted(first, permutation), last), rtol=1e-9)
            assert (draw[:, 1] < 0.9).all()  # the permuted last epoch is not the last epoch
    means = table(study, "jaccard").set_index(["model", "epoch"])["mean"]
    assert sorted(means.index) == [("finetune", 0), ("finetune", 1), ("scratch", 0), ("scratch", 1)]
    assert means["finetune", 1] == means["scratch", 1] == 1


def test_faithfulness_is_of_every_epoch_and_its_chance_permutes_the_values(study, models):
    measured = found(study, "faithfulness")
    for model, epochs in (("pretrain", models[:1]), ("finetune", models[1:3]), ("scratch", models[3:])):
        for place, strength in enumerate(epochs):
            v = values(strength)
            both = [f"{quantity}/{model}" for quantity in ("salient_share", "rebuilt")]
            observed = [measured.observed[name][:, place] for name in both]
            np.testing.assert_allclose(observed, faithfulness(v), rtol=1e-9)
            for draw, permutation in enumerate(study.permutations):
                chance = [measured.references["chance"][name][draw, :, place] for name in both]
                np.testing.assert_allclose(chance, faithfulness(permuted(v, permutation)), rtol=1e-9)


def test_faithfulness_is_of_all_interactions_whatever_the_options(study_of, models):
    study = study_of(models[0], [models[2]], [models[4]], salient=True, empty_set=False, normalise=True, tau=0.3)
    means = table(study, "faithfulness").set_index(["model", "quantity"])["mean"]
    for model, strength in (("pretrain", models[0]), ("finetune", models[2]), ("scratch", models[4])):
        share, fit = faithfulness(values(strength), 0.3)
        assert means[model, "salient_share"] == pytest.approx(share.mean())
        assert means[model, "rebuilt"] == pytest.approx(fit.mean())


def test_accuracy_is_per_model_epoch_and_quantity(study):
    correct = np.array([[0, 1.0], [1, 1], [0, 0], [0, 1]])
    study.outcomes, study.labels = {"pretrain": Outcomes(correct, 1 - correct)}, np.array([0, 0, 1, 2])
    made = table(study, "accuracy").set_index(["model", "quantity", "epoch"])
    assert made["mean"].tolist() == [0.25, 0.75, 0.75, 0.25]
    assert made.loc["pretrain", "accuracy"]["chance"].tolist() == [0.5, 0.5]
    assert made.loc["pretrain", "loss"]["chance"].tolist() == pytest.approx([1.5 * np.log(2)] * 2)


def test_noise_compares_the_last_epochs_with_their_values_in_float64(study, models):
    for model, store in study.stores.items():
        sample, subset = np.arange(8), np.arange(8)
        v = study.values(model, study.last(model))[sample, subset]
        store.write_noise(study.last(model), sample=sample, subset=subset, value=v + 0.01)
    made = table(study, "noise").set_index(["model", "quantity", "order"])
    for model, strength in (("pretrain", models[0]), ("finetune", models[2]), ("scratch", models[4])):
        explained = 2**-13 * abs(values(strength)).max()
        for k in range(5):
            assert made.loc[model, "noise", k]["mean"] == pytest.approx(0.01 * 2 ** (k / 2))
            assert made.loc[model, "noise", k]["explained"] == pytest.approx(explained * 2 ** (k / 2))
            assert made.loc[model, "strength", k]["mean"] == pytest.approx(abs(strength[:, orders(4) == k]).mean())


def test_an_estimate_takes_what_is_observed_where_a_reference_has_none():
    observed = {"a": np.array([1.0, 3.0]), "b": np.array([2.0, 2.0])}
    measured = Measured(observed, {"chance": {"a": np.array([[4.0, 4.0], [8.0, 8.0]])}})
    weights = np.full((10, 2), 0.5)
    result = measured.estimate(("a", "b"), weights, lambda a, b: a / b)
    assert (result.mean, result.chance) == (1.0, 3.0), "chance is the mean of 4/2 and 8/2"
    assert np.isnan(measured.estimate("b", weights).chance)
