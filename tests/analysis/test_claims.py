import warnings

import numpy as np
import pandas as pd
import pytest

from analysis.claims import as_table, inside, more_than
from analysis.formulas.accuracy import Outcomes
from analysis.loading import load
from analysis.measures.jaccard import early_epochs, falls
from analysis.statistics.estimate import Estimate

SAMPLES, N = 40, 6
JUDGED = ("decomposition", "ratio", "jaccard", "accuracy")  # the measures with claims


@pytest.mark.parametrize(
    ("low", "above_chance", "verdict"),
    [(2.1, 0.1, "holds"), (2.1, 0.0, "within chance"), (2.1, -0.3, "within chance"), (2.1, np.nan, "within chance"),
     (2.0, 1.0, "fails"), (1.9, 1.0, "fails"), (1.9, -0.5, "fails"), (np.nan, 1.0, "fails")],
)  # fmt: skip
def test_verdict_on_more_than_2(low, above_chance, verdict):
    assert more_than(Estimate(2.5, low, 3.0, 1.0, above_chance), 2) == verdict


@pytest.mark.parametrize(
    ("low", "high", "chance", "verdict"),
    [(0.2, 0.3, 0.1, "holds"), (0.2, 0.3, 0.5, "holds"), (0.2, 0.3, 0.4, "within chance"),
     (0.2, 0.3, 0.25, "within chance"), (0.1, 0.3, 0.0, "fails"), (0.2, 0.5, 0.0, "fails"), (0.5, 0.6, 0.55, "fails"),
     (np.nan, np.nan, 0.2, "fails")],
)  # fmt: skip
def test_verdict_on_between_13_and_45_percent(low, high, chance, verdict):
    assert inside(Estimate(0.25, low, high, chance, 0.1), 0.13, 0.45) == verdict


@pytest.mark.parametrize(
    ("epochs", "expected"),
    [(range(16), [1, 2, 3, 4, 5]), ([0, 1, 2, 5, 10, 30], [1, 2, 5, 10]), ([0, 1], [0]), ([0, 1, 2], [1]),
     ([0, 20], [0]), ([20], [20]), ([3, 30], [3])],
)  # fmt: skip
def test_early_is_the_first_third_without_the_untrained_model(epochs, expected):
    epochs = list(epochs)
    assert [epochs[position] for position in early_epochs(epochs)] == expected


def test_falls_sums_the_decreases():
    assert falls(np.array([[0, 1, 2, 3], [3, 1, 2, 0], [1, 1, 1, 1]])).tolist() == [0, 4, 0]


def gaussian(count, seed=0):
    return np.random.default_rng(seed).normal(size=(count, SAMPLES, 2**N))


def outcomes(finetune, scratch):
    """Of 200 test samples; each epoch's accuracy is given."""

    def of(accuracies):
        correct = (np.arange(200)[:, None] < 200 * np.array(accuracies)).astype(float)
        return Outcomes(correct, 1 - correct)

    return {"finetune": of(finetune), "scratch": of(scratch)}


EQUAL = outcomes([0.1, 0.5, 0.9], [0.1, 0.5, 0.9])


def verdicts(study, trained=EQUAL):
    study.outcomes, study.labels = trained, np.arange(200) % 4
    measured = {name: load(name, {}).samples(study) for name in JUDGED}
    found = {name: load(name, {}).claims(each, study.weights(each.samples)) for name, each in measured.items()}
    table = pd.concat([as_table(name, claims, [False] * len(claims)) for name, claims in found.items()])
    assert (table["low"].isna() | (table["low"] <= table["high"])).all()
    return {(row.claim, row.quantity): (row.verdict, row.value, row.chance) for row in table.itertuples()}


def about(found, word):
    """The verdicts on the claims with this word in them."""
    chosen = [verdict for (claim, quantity), (verdict, *_) in found.items() if word in f"{claim}: {quantity}"]
    assert chosen
    return chosen


def test_fine_tuning_that_changes_nothing_discards_nothing(study_of):
    pretrain, *scratch = gaussian(4)
    found = verdicts(study_of(pretrain, [pretrain] * 3, scratch))
    verdict, value, chance = found["discards more than twice what it preserves", "strength discarded / preserved"]
    assert (verdict, value) == ("fails", 0)
    assert 1.5 < chance < 1 + np.sqrt(2)  # a permutation leaves one subset of each order in its place
    assert about(found, "more discarded") == ["fails"] * 2
    assert about(found, "more new") == ["fails"] * 2
    assert about(found, "sooner: Jaccard") == ["holds"]  # similar to its last epoch from the first on; scratch is not


def test_models_that_share_nothing_are_within_chance(study_of):
    pretrain, finetune, scratch, *early = gaussian(7, seed=2)
    found = verdicts(study_of(pretrain, [early[0], early[1], finetune], [early[2], early[3], scratch]))
    verdict, value, chance = found["discards more than twice what it preserves", "strength discarded / preserved"]
    assert verdict == "within chance"
    assert value == pytest.approx(1 + np.sqrt(2), rel=0.05)
    assert chance == pytest.approx(1 + np.sqrt(2), rel=0.05)
    assert about(found, "scratch learns") == ["within chance"] * 3
    assert about(found, "more discarded") == ["fails"] * 2
    assert about(found, "sooner: Jaccard") == ["fails"]


def test_fine_tuning_that_reverses_everything_discards_more_than_chance(study_of):
    pretrain, *scratch = gaussian(4)
    finetune = np.where(np.random.default_rng(9).random(pretrain.shape) < 0.05, pretrain, -pretrain)
    assert about(verdicts(study_of(pretrain, [finetune] * 3, scratch)), "twice") == ["holds"]


def test_scratch_that_learns_30_percent_of_everything_preserved(study_of):
    pretrain = gaussian(1)[0]
    found = verdicts(study_of(pretrain, [pretrain] * 3, [0.3 * pretrain] * 3))
    assert about(found, "scratch learns") == ["within chance"] * 3  # unrelated models meet "13 to 45 %", too
    assert [value for (claim, _), (_, value, _) in found.items() if "scratch learns" in claim] == pytest.approx(
        [0.3] * 3
    )


def test_knowledge_that_is_lost_at_high_order_only(study_of):
    pretrain, *scratch = gaussian(4)
    order = np.bitwise_count(np.arange(2**N))
    finetune = np.where(order > N / 2, -pretrain, np.where(order % 2, 0.9, 1.1) * pretrain)
    found = verdicts(study_of(pretrain, [finetune] * 3, scratch))
    assert about(found, "more discarded") == ["holds"] * 2
    assert about(found, "more new") == ["holds"] * 2


def test_a_curve_that_goes_up_and_down_is_less_steady(study_of):
    pretrain, last, noise = gaussian(3)
    steady = [share * last + (1 - share) * noise for share in (0.2, 0.4, 0.6, 0.8, 1)]
    shaky = [share * last + (1 - share) * noise for share in (0.2, 0.8, 0.2, 0.8, 1)]
    assert about(verdicts(study_of(pretrain, steady, shaky)), "steadily") == ["holds"]


def test_the_same_curve_is_not_steadier_than_itself(study_of):
    pretrain, *curve = gaussian(4)
    found = verdicts(study_of(pretrain, curve, curve))
    assert about(found, "steadily") == ["fails"]
    assert about(found, "sooner: Jaccard") == ["fails"]


def test_benefit_is_measured_on_the_test_set(study_of):
    models = gaussian(3)
    study = study_of(models[0], [models[1]] * 3, [models[2]] * 3)
    found = verdicts(study, outcomes([0.1, 0.9, 0.95], [0.1, 0.5, 0.8]))
    quantity = f"final accuracy on {len(EQUAL['scratch'].correct)} test samples, fine-tuned - scratch"
    assert found["fine-tuning is more accurate", quantity] == (
        "holds", pytest.approx(0.15), 0)  # fmt: skip
    assert about(found, "converges sooner") == ["holds"]
    found = verdicts(study, EQUAL)
    assert about(found, "more accurate") == about(found, "converges sooner") == ["fails"]


@pytest.mark.parametrize("n", [1, 2])
def test_few_variables_and_one_epoch_make_claims_without_warnings(study_of, n):
    models = np.random.default_rng(0).normal(size=(3, 5, 2**n))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = verdicts(study_of(models[0], [models[1]] * 2, [models[2]] * 2, empty_set=False))
    assert {verdict for verdict, *_ in found.values()} <= {"holds", "within chance", "fails"}
