import numpy as np
import pytest

from analysis.formulas.faithfulness import salient
from analysis.loading import load
from analysis.study import Study
from conf.errors import BadInput
from interactions.mobius import orders


@pytest.fixture
def models():
    return np.random.default_rng(0).normal(size=(4, 6, 32))


def study_with(study_of, models, **options):
    return study_of(models[0], [models[1], models[2]], [models[3]], **options)


def test_interactions_are_derived_from_the_stored_values(study_of, models):
    study = study_with(study_of, models)
    assert (study.n, study.count) == (5, 6)
    assert [study.epochs(model) for model in ("pretrain", "finetune", "scratch")] == [[7], [0, 1], [0]]
    np.testing.assert_allclose(study.final("pretrain"), models[0], atol=1e-12)
    np.testing.assert_allclose(study.interactions("finetune", 0), models[1], atol=1e-12)
    np.testing.assert_allclose(study.final("finetune"), models[2], atol=1e-12)
    np.testing.assert_allclose(study.values("scratch", 0)[:, -1], models[3].sum(1), atol=1e-12)


def test_salient_sets_the_others_to_zero(study_of, models):
    found = study_with(study_of, models, salient=True, tau=0.5).final("scratch")
    kept = salient(models[3], 0.5)
    assert 0 < kept.mean() < 1
    assert ((found != 0) == kept).all()
    np.testing.assert_allclose(found[kept], models[3][kept], atol=1e-12)


def test_normalise_divides_by_how_much_all_variables_change_the_value_on_average(study_of, models):
    found = study_with(study_of, models, normalise=True).final("scratch")
    effect = abs(models[3][:, 1:].sum(1)).mean()  # v(x_N) - v(x_0) is the sum of all but the empty set's
    np.testing.assert_allclose(found, models[3] / effect, atol=1e-12)


def test_normalise_makes_models_that_differ_in_scale_equal(study_of, models):
    study = study_of(models[0], [models[0] * 10], [models[0] / 10], normalise=True)
    for model in ("finetune", "scratch"):
        np.testing.assert_allclose(study.final(model), study.final("pretrain"), rtol=1e-8, atol=1e-12)


def test_normalise_leaves_a_model_without_any_effect_as_it_is(study_of, models):
    constant = np.zeros_like(models[0])
    constant[:, 0] = 3
    study = study_of(models[0], [models[1]], [constant], normalise=True)
    np.testing.assert_array_equal(study.final("scratch"), constant)


@pytest.mark.parametrize("empty_set", [True, False])
def test_the_empty_set_can_be_left_out_of_all_measures(study_of, models, empty_set):
    models[:, :, 0] *= 1000  # it would show
    study = study_with(study_of, models, empty_set=empty_set)
    first = 0 if empty_set else 1
    assert study.order.tolist() == orders(5)[first:].tolist()
    strengths = load("decomposition", {}).samples(study)
    levels = [part for level in strengths.references.values() for part in level.values()]
    assert len(levels) == 11, "preserved, discarded and new under placement, sign and task, and both sides of the last"
    assert all(part.shape == (6, 6 - first) for part in (*strengths.observed.values(), *levels))
    strongest = max(part.max() for part in (*strengths.observed.values(), *levels))
    assert (strongest > 100) == empty_set
    assert (load("ratio", {}).samples(study).observed["weighted/preserved"].max() > 100) == empty_set
    a, b = models[1][:, first:], models[2][:, first:]
    union = np.where(a * b > 0, np.maximum(abs(a), abs(b)), abs(a) + abs(b)).sum(1)
    intersection = np.where(a * b > 0, np.minimum(abs(a), abs(b)), 0).sum(1)
    observed = load("jaccard", {}).samples(study).observed["finetune"]
    np.testing.assert_allclose(observed, np.stack([intersection / union, np.ones(6)], axis=1), rtol=1e-9)


def test_models_are_those_that_there_are_stores_of(study_of, models):
    assert study_of(None, models[:2], []).models == ["finetune"]


def test_epochs_are_those_that_are_compared_whatever_else_the_store_has(study_of, models):
    whole = study_with(study_of, models)
    study = Study(whole.stores["scratch"].samples, whole.stores, {"pretrain": [7], "finetune": [0], "scratch": [0]},
                  whole.options)  # fmt: skip
    assert whole.epochs("finetune") == [0, 1]
    assert (study.epochs("finetune"), study.last("finetune")) == ([0], 0)
    np.testing.assert_allclose(study.final("finetune"), models[1], atol=1e-12)


def test_the_precision_is_that_of_the_last_epoch(study_of, models):
    study = study_with(study_of, models)
    assert study.precision("finetune") == "float32"
    file = study.stores["finetune"].unit(1) / "meta.json"
    for text in ('{"precision": ', "{}"):
        file.write_text(text)
        with pytest.raises(BadInput, match=r"epoch_001/meta\.json is damaged"):
            study.precision("finetune")


def test_permutations_are_the_same_for_all_measures(study_of, models):
    study = study_with(study_of, models, permutations=3)
    assert [permutation.shape for permutation in study.permutations] == [(6, 32)] * 3
    again = study_with(study_of, models, permutations=3).permutations
    assert all((one == other).all() for one, other in zip(study.permutations, again, strict=True))


def test_draws_of_resamples_are_the_same_for_all_measures_on_the_same_samples(study_of, models):
    study = study_with(study_of, models, resamples=40)
    first, second = (load(name, {}).samples(study) for name in ("decomposition", "ratio"))
    for measured in (first, first.equal, second):
        assert measured.weights.shape == (40, 6)
        np.testing.assert_array_equal(measured.weights, first.weights)


@pytest.mark.parametrize("empty_set", [True, False])
def test_at_equal_strength_each_models_interactions_add_up_to_1_in_each_sample(study_of, models, empty_set):
    study = study_with(study_of, models, empty_set=empty_set)
    equal = study.at_equal_strength()
    for model, epoch in (("pretrain", 7), ("finetune", 0), ("finetune", 1), ("scratch", 0)):
        found, plain = equal.interactions(model, epoch), study.interactions(model, epoch)
        chosen = plain[:, study.subsets]
        np.testing.assert_allclose(abs(found[:, study.subsets]).sum(1), 1, rtol=1e-12)
        np.testing.assert_allclose(found, plain / abs(chosen).sum(1, keepdims=True), rtol=1e-12)
    np.testing.assert_allclose(study.final("scratch"), models[3], atol=1e-12)  # it is a copy that is scaled


def test_at_equal_strength_only_what_is_salient_counts(study_of, models):
    found = study_with(study_of, models, salient=True, tau=0.5).at_equal_strength().final("scratch")
    assert ((found != 0) == salient(models[3], 0.5)).all()
    np.testing.assert_allclose(abs(found).sum(1), 1, rtol=1e-12)


def test_at_equal_strength_the_scale_of_a_model_and_of_each_of_its_samples_does_not_matter(study_of, models):
    scale = 10.0 ** np.arange(-3, 3)[:, None]
    study = study_of(scale * models[0], [models[0]], [models[1]]).at_equal_strength()
    np.testing.assert_allclose(study.final("pretrain"), study.final("finetune"), rtol=1e-6, atol=1e-9)
    strengths = load("decomposition", {}).samples(study_of(scale * models[0], [models[0]], [models[1]])).equal.observed
    np.testing.assert_allclose(strengths["discarded"], 0, atol=1e-9)


def test_at_equal_strength_a_sample_without_interactions_has_none(study_of, models):
    models[3, 2] = 0
    found = study_with(study_of, models).at_equal_strength().final("scratch")
    assert (found[2] == 0).all()
    np.testing.assert_allclose(abs(found[[0, 1, 3, 4, 5]]).sum(1), 1)


@pytest.mark.parametrize(("classes", "shared", "expected"), [
    ("aab", True, True), ("abc", True, False), ("aab", False, False), ("aab", None, False)
])  # fmt: skip
def test_samples_share_their_variables_if_that_was_asked_for_and_a_class_has_several(
    study_of, classes, shared, expected
):
    study = study_with(study_of, np.zeros((4, 3, 8)))
    for sample, name in zip(study.about["samples"], classes, strict=True):
        sample["class"] = name
    study.about.update({} if shared is None else {"shared_variables": shared})
    assert study.is_shared == expected
