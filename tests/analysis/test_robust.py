from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hand_made import estimate

from analysis.claims import MET, NOT_MET, Claim, as_table
from analysis.formulas.accuracy import Outcomes
from analysis.loading import load
from analysis.robust import DRAWS, doubtful, overturned, with_noise
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
    study.outcomes, study.labels, tables, noisy = TRAINED, np.arange(50) % 2, [], with_noise(study)
    for measure in [load(name, {}) for name in names]:
        claims = measure.claims(measure.samples(study))
        tables.append(as_table(measure.name, claims, doubtful(noisy, measure, claims))[0])
    table = pd.concat(tables, ignore_index=True)
    return table, set(table["claim"][table["noise"] == "could overturn"])


@pytest.mark.parametrize("options", [{}, {"normalise": True}, {"salient": True, "tau": 0.1}, {"empty_set": False}])
def test_noise_of_float32_overturns_nothing(study_of, models, options):
    table, marked = marks(study_of(*models, noise=1e-6, **options))
    assert marked == set()
    assert set(table["noise"]) == {""}
    assert {MET, NOT_MET} <= set(table["verdict"])


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
    assert marked == {"preserves more than a model trained from scratch shares",
                      "scratch learns 13 to 45 % of the preserved", "fine-tuning learns its target knowledge sooner",
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
    ("shaken", "expected"),
    [([2.49, 2.51], False), ([2.4, 2.6], True), ([2.5, 2.5], False), ([2.41, 2.41], False), ([2.5, 2.6], True),
     ([2.61], True), ([2.39], True)],
)  # fmt: skip
def test_a_verdict_is_overturned_if_the_moved_interval_has_another(shaken, expected):
    """More than 2, in an interval that begins at 2.1: it can be moved by less than 0.1."""
    claim = Claim("", "", "", estimate(2.5, 2.1, 2.9), above=2)
    others = [replace(claim, result=estimate(value, value, value)) for value in shaken]
    assert overturned(claim, others) == expected


@pytest.mark.parametrize("high", [2.1, 1.9])
def test_what_is_undecided_or_not_met_is_overturned_where_noise_could_decide_it(high):
    claim = Claim("", "", "", estimate(1.7, 1.5, high), above=2)
    assert overturned(claim, [replace(claim, result=estimate(1.7 - 0.6, 0, 0))])
    assert not overturned(claim, [replace(claim, result=estimate(1.7 - 0.05, 0, 0))])


def test_what_is_infinite_or_unknown_before_and_after_is_not_moved():
    for value in (np.inf, np.nan):
        claim = Claim("", "", "", estimate(value, value, value), above=2)
        assert not overturned(claim, [claim, claim])


def test_what_is_not_measurable_or_claims_nothing_is_not_overturned():
    for claim in (Claim("", "", "", estimate(2, 1.9, 2.1), 2, impossible="no curve falls"),
                  Claim("", "", "", estimate(2, 1.9, 2.1), above=np.nan)):  # fmt: skip
        assert not overturned(claim, [replace(claim, result=estimate(9, 8, 10))])


def test_each_draw_of_the_noise_is_another_one_of_its_size(study_of, models):
    study = study_of(*models, noise=0.1)
    noisy = with_noise(study)
    moved = [each.final("finetune") - study.final("finetune") for each in noisy]
    assert len(moved) == DRAWS == 2
    assert not np.isclose(*moved).any()
    for each in moved:  # of values, as interactions sum them up: 2**(order/2)
        assert each[:, 0].std() == pytest.approx(0.1, rel=0.5)
        assert each[:, orders(N) == 2].std() == pytest.approx(0.2, rel=0.2)
    again = with_noise(study)[1].final("finetune")
    np.testing.assert_array_equal(again, noisy[1].final("finetune"))


def test_noise_is_added_before_models_are_scaled_to_equal_strengths(study_of, models):
    (noisy, _), equal = (with_noise(study_of(*models, noise=0.1)) for _ in range(2))
    equal = equal[0].at_equal_strength().final("scratch")
    expected = noisy.final("scratch")
    np.testing.assert_allclose(equal, expected / abs(expected).sum(1, keepdims=True), rtol=1e-9)
