"""What each measure finds for each sample and under its references, against the formulas; and the tables from that."""

import numpy as np
import pytest

from analysis.claims import IMPOSSIBLE
from analysis.formulas.accuracy import Outcomes
from analysis.formulas.decomposition import by_order
from analysis.formulas.faithfulness import faithfulness
from analysis.formulas.jaccard import jaccard
from analysis.formulas.ratio import learned, terms
from analysis.formulas.references import by_placement, by_sign, matched, shared
from analysis.loading import load
from analysis.measured import Measured
from analysis.statistics.shuffled import permuted
from analysis.tables import levels_of, unusable
from conf.measures import ours
from interactions.mobius import orders, values

ORDER = orders(4)
MODELS = ("pretrain", "finetune", "scratch")
OTHERS = ("logme", "spectrum", "transfer", "tsne", "training")  # test_representations.py, test_training.py


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
    return load(name, options).table(found(study, name, **options))[0]


REFERENCES = {  # of the default measures
    "decomposition": ["placement", "sign", "task"],
    "ratio": ["placement", "sign"],
    "jaccard": ["placement", "sign"],
    "accuracy": ["chance"],
    "faithfulness": ["shuffled"],
    "noise": ["explained"],
}


@pytest.mark.parametrize("name", REFERENCES)
def test_every_value_lies_in_its_interval_and_has_its_references(study, name):
    made = table(study, name)
    assert unusable(made) == ""
    assert levels_of(list(made)) == REFERENCES[name]
    bounded = made[made["low"].notna()] if name == "noise" else made
    assert len(bounded)
    assert (bounded["low"] <= bounded["mean"] + 1e-12).all()
    assert (bounded["mean"] <= bounded["high"] + 1e-12).all()
    if name in ("noise", "decomposition"):  # what has a reference there
        made = made[made["quantity"].isin(("noise", "preserved", "discarded", "new"))]
    assert np.isfinite(made[REFERENCES[name]].to_numpy()).all()


@pytest.mark.parametrize("name", ["decomposition", "ratio", "jaccard", "faithfulness"])
def test_the_excess_is_how_far_the_value_lies_above_a_reference(study, name):
    made = table(study, name)
    stems = ("", "equal_") if name != "faithfulness" else ("",)
    assert any(column.startswith("equal_") for column in made) == (len(stems) == 2)
    for stem in stems:
        for reference in (f"{stem}{each}" for each in REFERENCES[name]):
            rows = made[made[reference].notna()]
            np.testing.assert_allclose(rows[f"{reference}_excess"], rows[f"{stem}mean"] - rows[reference], atol=1e-12)
            assert (rows[f"{reference}_low"] <= rows[f"{reference}_excess"] + 1e-12).all()
            assert (rows[f"{reference}_excess"] <= rows[f"{reference}_high"] + 1e-12).all()


@pytest.mark.parametrize("name", REFERENCES)
def test_pseudo_values_are_of_each_row_and_their_mean_is_near_the_value(study, name):
    """Of means they are the samples' own values."""
    made, pseudo = load(name, {}).table(found(study, name))
    if name == "noise":
        assert pseudo == {}
        return
    samples = 30 if name == "accuracy" else 8
    assert {array.shape for column, array in pseudo.items() if column != "log"} == {(samples, len(made))}
    assert pseudo["log"].shape == (len(made),)
    assert pseudo["log"].all() == (name == "decomposition")
    if not pseudo["log"].any() and name != "ratio":
        np.testing.assert_allclose(pseudo["mean"].mean(0), made["mean"], rtol=1e-5)


@pytest.mark.parametrize("name", sorted({*ours()} - {*OTHERS}))
def test_what_is_kept_is_per_sample_and_read_as_it_was_written(study, name, tmp_path):
    measured = found(study, name)
    samples = 30 if name == "accuracy" else 8
    pseudo = {"rows/mean": np.ones((samples, 3)), "claims/log": np.array([True])}
    measured.write(tmp_path / "kept.npz", "digits-1f2e/test", np.arange(samples), pseudo)
    with np.load(tmp_path / "kept.npz") as kept:
        assert str(kept["data"]) == "digits-1f2e/test"
        assert kept["index"].tolist() == list(range(samples))
        assert {"rows/mean", "claims/log"} <= set(kept)
        for key, array in measured.observed.items():
            assert kept[key].shape[0] == samples
            np.testing.assert_array_equal(kept[key], array)
        again = Measured.read(kept)
    assert_same(again, measured)
    assert (again.draws, again.seed) == (300, 0)


def assert_same(one, other):
    """All parts of what a measure found."""
    assert (one.draws, one.seed, one.equal is None) == (other.draws, other.seed, other.equal is None)
    assert list(one.references) == list(other.references)
    parts = [(one.observed, other.observed)]
    parts += [(one.references[name], other.references[name]) for name in one.references]
    for first, second in parts:
        assert list(first) == list(second)
        for name in first:
            np.testing.assert_array_equal(first[name], second[name], name)
    assert set(one.about) == set(other.about) or one.about == {}
    for name in one.about:
        np.testing.assert_array_equal(one.about[name], other.about[name])
    if one.equal is not None:
        assert_same(one.equal, other.equal)


def by_part(pretrain, finetune, preserved):
    """Means per order [samples, orders]."""
    parts = (preserved, abs(pretrain) - preserved, abs(finetune) - preserved)
    return dict(zip(("preserved", "discarded", "new"), (by_order(part, ORDER) for part in parts), strict=True))


def test_strengths_are_means_per_order_of_the_last_epochs(study, models):
    pretrain, finetune = models[0], models[2]
    expected = by_part(pretrain, finetune, shared(pretrain, finetune))
    expected |= {"pretrain": by_order(abs(pretrain), ORDER), "finetune": by_order(abs(finetune), ORDER)}
    measured = found(study, "decomposition")
    means = table(study, "decomposition").set_index(["order", "quantity"])["mean"]
    assert measured.observed.keys() == expected.keys()
    for name, strength in expected.items():
        np.testing.assert_allclose(measured.observed[name], strength, rtol=1e-9, atol=1e-12)
        for k in range(5):
            assert means[k, name] == pytest.approx(strength[:, k].mean())
    assert len(means) == 25
    assert measured.about["subsets"].tolist() == [1, 4, 6, 4, 1]


def test_what_would_be_preserved_anyway_is_that_of_the_references(study, models):
    pretrain, finetune, scratch = models[0], models[2], models[4]
    levels = {
        "placement": by_placement(pretrain, finetune, ORDER),
        "sign": by_sign(pretrain, finetune, ORDER),
        "task": shared(pretrain, matched(scratch, finetune, ORDER)),
    }
    measured = found(study, "decomposition")
    made = table(study, "decomposition").set_index(["order", "quantity"])
    assert measured.references.keys() == levels.keys()
    for name, preserved in levels.items():
        expected = by_part(pretrain, finetune, preserved)
        if name == "task":  # both sides of what is preserved, where all can be matched
            expected |= {"observed": measured.observed["preserved"], "common": expected["preserved"]}
        assert measured.references[name].keys() == expected.keys(), "strengths of the models are what they are"
        for part, strength in expected.items():
            np.testing.assert_allclose(measured.references[name][part], strength, rtol=1e-9, atol=1e-12)
            for k in range(5) if part in measured.observed else ():
                assert made.loc[(k, part), name] == pytest.approx(strength[:, k].mean())
    assert made.xs("pretrain", level="quantity")[list(levels)].isna().all(axis=None)


def test_where_scratch_has_no_strength_to_match_it_is_no_reference(study_of, models):
    """None that is salient."""
    models[4][2, ORDER == 3] = 1e-6
    measured = found(study_of(models[0], [models[2]], [models[4]], salient=True, tau=1e-4), "decomposition")
    assert np.argwhere(measured.about["unmatched"]).tolist() == [[2, 3]]
    task = measured.references["task"]
    for part in ("preserved", "discarded", "new"):
        equal = np.isclose(task[part], measured.observed[part])[:, 1:4]  # other orders hold a single subset
        assert np.argwhere(equal).tolist() == [[2, 2]], part
    assert task["observed"][2, 3] == task["common"][2, 3] == 0
    matched_ones = ~measured.about["unmatched"]
    np.testing.assert_array_equal(task["observed"][matched_ones], measured.observed["preserved"][matched_ones])
    np.testing.assert_array_equal(task["common"][matched_ones], task["preserved"][matched_ones])


def test_an_order_where_scratch_has_no_strength_has_no_level_and_the_claim_is_of_the_rest(study_of, models):
    models[4][:, ORDER == 3] = 0
    study = study_of(models[0], [models[2]], [models[4]])
    made = table(study, "decomposition").set_index(["order", "quantity"])
    for part in ("preserved", "discarded", "new"):
        row = made.loc[(slice(None), part), ["task", "task_excess", "task_low", "task_high"]]
        assert row.isna().all(axis=1).tolist() == [False, False, False, True, False], part
        assert row.droplevel("quantity").drop(3).notna().all(axis=None)
        assert np.isfinite(made.loc[(slice(None), part), ["low", "high", "sign"]]).all(axis=None)
    rest = (ORDER > 0) & (ORDER != 3)
    kept = shared(models[0], models[2])[:, rest].sum()
    task = shared(models[0], matched(models[4], models[2], ORDER))[:, rest].sum()
    claims = {claim.key: claim.result for claim in load("decomposition", {}).claims(found(study, "decomposition"))}
    assert claims["preserved/task"].value == pytest.approx(1 - task / kept)


def test_without_any_strength_of_scratch_nothing_is_said_of_the_task(study_of, models):
    measured = found(study_of(models[0], [models[2]], [0 * models[4]]), "decomposition")
    (claim,) = [claim for claim in load("decomposition", {}).claims(measured) if claim.key == "preserved/task"]
    assert claim.verdict == IMPOSSIBLE


def test_without_a_model_trained_from_scratch_there_is_no_task_reference(study_of, models):
    measured = found(study_of(models[0], [models[2]], []), "decomposition")
    assert list(measured.references) == ["placement", "sign"]


def test_samples_of_one_class_stand_in_for_each_other(study_of, models):
    study = study_of(models[0], [models[2]], [models[4]])
    names = list("aababacd")
    for sample, name in zip(study.about["samples"], names, strict=True):
        sample["class"] = name
    assert "class" not in found(study, "decomposition").references
    study.about["shared_variables"] = True
    level = found(study, "decomposition").references["class"]["preserved"]
    for at, name in enumerate(names):
        others = [other for other, label in enumerate(names) if label == name and other != at]
        each = [shared(models[0][[at]], matched(models[2][[other]], models[2][[at]], ORDER)) for other in others]
        expected = by_order(np.mean(each, axis=0), ORDER)[0] if each else np.zeros(5)
        np.testing.assert_allclose(level[at], expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", ["decomposition", "ratio", "jaccard"])
def test_at_equal_strengths_is_the_same_of_models_that_are_scaled(study_of, study, models, name):
    """In a study whose models have strengths that add up to 1 in each sample already."""
    scaled = [model / abs(model).sum(1, keepdims=True) for model in models]
    expected = found(study_of(scaled[0], scaled[1:3], scaled[3:]), name)
    equal = found(study, name).equal
    assert equal.equal is None
    for first, second in zip(equal.arrays().items(), expected.arrays().items(), strict=False):
        assert first[0] == second[0]
        np.testing.assert_allclose(first[1], second[1], rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("name", ["accuracy", "faithfulness", "noise"])
def test_what_compares_no_strengths_has_nothing_at_equal_ones(study, name):
    assert found(study, name).equal is None


def test_the_ratio_is_that_of_the_formulas_and_its_references_leave_what_is_preserved(study, models):
    measured = found(study, "ratio")
    pretrain, finetune, scratch = models[0], models[2], models[4]
    preserved = shared(pretrain, finetune)
    kept = np.sign(pretrain) * preserved
    made = table(study, "ratio").set_index("definition")
    for name, part in (("mean", learned(preserved, pretrain, scratch)), ("sign", by_sign(kept, scratch, ORDER)),
                       ("placement", by_placement(kept, scratch, ORDER))):  # fmt: skip
        arrays = measured.observed if name == "mean" else measured.references[name]
        for definition, (above, below) in terms(preserved, part).items():
            np.testing.assert_allclose(arrays[f"{definition}/learned"], above, rtol=1e-9)
            np.testing.assert_allclose(arrays[f"{definition}/preserved"], below, rtol=1e-9)
            assert made.loc[definition, name] == pytest.approx(above.mean() / below.mean())
    assert list(made.index) == ["paper", "positive", "weighted"]


def test_similarities_are_to_the_last_epoch(study, models):
    measured = found(study, "jaccard")
    assert measured.about["epochs/finetune"].tolist() == [0, 1]
    for model, first, last in (("finetune", models[1], models[2]), ("scratch", models[3], models[4])):
        observed = measured.observed[model]
        np.testing.assert_allclose(observed[:, 0], jaccard(first, last), rtol=1e-9)
        np.testing.assert_array_equal(observed[:, 1], 1)
        both = [abs(each).sum(1) for each in (first, last)]
        for name, of in (("placement", by_placement), ("sign", by_sign)):
            level, smaller = measured.references[name][model], of(first, last, ORDER).sum(1)
            np.testing.assert_allclose(level[:, 0], smaller / (sum(both) - smaller), rtol=1e-9)
            assert (level[:, 1] < 0.9).all()  # the last epoch, rearranged, is not the last epoch
    means = table(study, "jaccard").set_index(["model", "epoch"])["mean"]
    assert sorted(means.index) == [("finetune", 0), ("finetune", 1), ("scratch", 0), ("scratch", 1)]
    assert means["finetune", 1] == means["scratch", 1] == 1


def test_faithfulness_is_of_every_epoch_and_its_reference_permutes_the_values(study, models):
    measured = found(study, "faithfulness")
    for model, epochs in (("pretrain", models[:1]), ("finetune", models[1:3]), ("scratch", models[3:])):
        for place, strength in enumerate(epochs):
            v = values(strength)
            both = [f"{quantity}/{model}" for quantity in ("salient_share", "rebuilt")]
            observed = [measured.observed[name][:, place] for name in both]
            np.testing.assert_allclose(observed, faithfulness(v), rtol=1e-9)
            level = [measured.references["shuffled"][name][:, place] for name in both]
            draws = [faithfulness(permuted(v, permutation)) for permutation in study.permutations]
            assert len(draws) == 5
            np.testing.assert_allclose(level, np.mean(draws, axis=0), rtol=1e-9)


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


def test_without_permutations_faithfulness_has_no_reference(study_of, models):
    study = study_of(models[0], [models[2]], [models[4]], permutations=0)
    assert levels_of(list(table(study, "faithfulness"))) == []
