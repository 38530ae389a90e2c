from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from analysis.claims import Claim, as_table
from analysis.formulas.accuracy import Outcomes
from analysis.loading import load
from analysis.robust import Noisy, doubtful, overturned
from analysis.statistics.estimate import Estimate
from interactions.mobius import orders

SAMPLES, N = 30, 5
# Clearly different accuracies, and none at all: of claims that no noise can touch.
TRAINED = {
    name: Outcomes(np.full((50, 3), share), np.ones((50, 3))) for name, share in (("finetune", 1), ("scratch", 0))
}


@pytest.fixture
def models():
    """Pre-trained, fine-tuned and scratch, three epochs each. All share something; fine-tuning more, and sooner."""
    draw = np.random.default_rng(3)
    shared, *own = draw.normal(size=(8, SAMPLES, 2**N))
    finetune = [shared + share * other for share, other in zip((0.5, 0.4, 0.3), own[:3], strict=True)]
    scratch = [share * shared + other for share, other in zip((0, 0.5, 1), own[3:6], strict=True)]
    return shared + 0.3 * own[6], finetune, scratch


def marks(study, names=("decomposition", "ratio", "jaccard", "accuracy")):
    study.outcomes, tables, noisy = TRAINED, [], Noisy(study)
    for measure in [load(name, {}) for name in names]:
        measured = measure.samples(study)
        claims = measure.claims(measured, study.weights(measured.samples))
        tables.append(as_table(measure.name, claims, doubtful(noisy, measure, claims)))
    table = pd.concat(tables, ignore_index=True)
    return table, set(table["claim"][table["noise"] == "could overturn"])


@pytest.mark.parametrize("options", [{}, {"normalise": True}, {"salient": True, "tau": 0.1}, {"empty_set": False}])
def test_noise_of_float32_overturns_nothing(study_of, models, options):
    table, marked = marks(study_of(*models, noise=1e-6, **options))
    assert marked == set()
    assert set(table["noise"]) == {""}
    assert {"holds", "fails"} <= set(table["verdict"])


def test_no_noise_overturns_nothing(study_of, models):
    assert marks(study_of(*models))[1] == set()


def test_noise_as_strong_as_the_interactions_overturns_all_claims_but_those_on_accuracy(study_of, models):
    table, _ = marks(study_of(*models, noise=1.0))
    of_accuracy = table["quantity"].str.contains("accuracy")
    assert of_accuracy.sum() == 2
    assert set(table["noise"][of_accuracy]) == {""}
    assert set(table["noise"][~of_accuracy]) == {"could overturn"}


def test_noise_in_one_model_touches_only_claims_about_it(study_of, models):
    study = study_of(*models)
    v = study.values("scratch", 2)
    sample, subset = np.divmod(np.arange(v.size), 2**N)
    study.stores["scratch"].write_noise(
        2, sample=sample, subset=subset, value=np.zeros(v.size)
    )  # v is nothing but noise
    _, marked = marks(study)
    assert marked == {"scratch learns 13 to 45 % of the preserved", "fine-tuning learns its target knowledge sooner",
                      "fine-tuning learns it more steadily"}  # fmt: skip


def test_moderate_noise_overturns_what_is_close_and_nothing_else(study_of):
    """Scratch has 44 % of what is preserved: 45 % are close. All else is far from any threshold."""
    draw = np.random.default_rng(0)
    pretrain, early = draw.normal(size=(2, SAMPLES, 2**N))
    factor = np.where(orders(N) > N / 2, 3.0, 1.2) ** draw.choice([-1, 1], size=pretrain.shape)
    finetune, scratch = factor * pretrain, 0.44 * np.minimum(factor, 1) * pretrain
    models = (pretrain, [0.9 * finetune, finetune], [early, scratch])
    for noise, expected in ((1e-6, set()), (0.02, {"scratch learns 13 to 45 % of the preserved"})):
        assert marks(study_of(*models, noise=noise), ("decomposition", "ratio", "jaccard"))[1] == expected


def test_the_same_marks_each_time(study_of, models):
    study = study_of(*models, noise=0.05)
    assert marks(study)[0].equals(marks(study)[0])


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(2.49, 2.51, False), (2.3, 2.5, True), (2.5, 2.7, True), (2.5, 2.5, False), (2.4, 2.6, True), (2.41, 2.59, False)],
)
def test_a_verdict_is_overturned_if_the_moved_interval_has_another(low, high, expected):
    """More than 2, in an interval that begins at 2.1: 0.1 is how far it can be moved."""
    claim = Claim("", "", Estimate(2.5, 2.1, 2.9, 1.0, 0.5), above=2)
    shaken = replace(claim, result=Estimate(2.5, low, high, np.nan, np.nan))
    assert overturned(claim, shaken) == expected


def test_what_chance_explains_is_overturned_where_noise_hides_the_distance_from_chance():
    claim = Claim("", "", Estimate(2.5, 2.4, 2.6, 2.45, -0.02), above=2)
    assert claim.verdict == "within chance"
    assert overturned(claim, replace(claim, result=Estimate(2.5, 2.47, 2.5, np.nan, np.nan)))
    assert not overturned(claim, replace(claim, result=Estimate(2.5, 2.49, 2.5, np.nan, np.nan)))


def test_what_is_infinite_or_unknown_before_and_after_is_not_moved():
    for value in (np.inf, np.nan):
        claim = Claim("", "", Estimate(value, value, value, 1.0, value), above=2)
        assert not overturned(claim, claim)
