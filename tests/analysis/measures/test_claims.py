"""Every claim of every measure, on simulated models of which the answer is known."""

import warnings

import numpy as np
import pandas as pd
import pytest

from analysis.claims import IMPOSSIBLE, KEYS, MET, NOT_MET, SCALE, UNDECIDED, as_table, ordered, overall
from analysis.formulas.accuracy import Outcomes
from analysis.loading import load
from analysis.measures.jaccard import early_epochs, falls
from interactions.mobius import orders

SAMPLES, N = 40, 6
MEASURES = ("decomposition", "ratio", "jaccard", "accuracy")
ORDER = orders(N)


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


def outcomes(**accuracies):
    """Of 200 test samples; each model's accuracy after each epoch is given."""

    def of(shares):
        correct = (np.arange(200)[:, None] < 200 * np.array(shares)).astype(float)
        return Outcomes(correct, 1 - correct)

    return {model: of(shares) for model, shares in accuracies.items()}


SAME = outcomes(finetune=[0.1, 0.5, 0.9], scratch=[0.1, 0.5, 0.9])


def claimed(study, trained=SAME):
    """All claims of a study, by key."""
    study.outcomes, study.labels = trained, np.arange(200) % 4
    measures = [load(name, {}) for name in MEASURES]
    parts = [as_table(each.name, each.claims(each.samples(study)))[0] for each in measures]
    table = ordered(pd.concat(parts, ignore_index=True))
    assert (table["low"].isna() | (table["low"] <= table["high"])).all()
    assert table["key"].is_unique
    return table.set_index("key", drop=False)


def of_keys(table, start):
    """The verdicts of the quantities whose keys begin so."""
    found = list(table[table["key"].str.startswith(start)]["verdict"])
    assert found
    return found


def test_every_claim_has_a_stable_key_and_reads_the_same_whatever_was_found(study_of):
    models = gaussian(7)
    trained = SAME | outcomes(pretrain=[0.4])
    first = claimed(study_of(models[0], models[1:4], models[4:]), trained)
    assert list(first["key"]) == [
        "discarded/all", "discarded/orders", "discarded/some", "preserved/share", "preserved/placement",
        "preserved/sign", "preserved/task", "discarded/growth", "discarded/share", "new/growth", "new/share",
        "ratio/paper", "ratio/positive", "ratio/weighted", "jaccard/early", "jaccard/falls", "jaccard/falls_each",
        "accuracy/gain", "accuracy/sooner", "accuracy/over_probe",
    ]  # fmt: skip
    second = claimed(study_of(models[0], [models[0]] * 3, [models[0]] * 3), trained)
    pd.testing.assert_frame_equal(first[KEYS], second[KEYS])


def test_fine_tuning_that_changes_nothing_discards_nothing(study_of):
    pretrain, *scratch = gaussian(4)
    found = claimed(study_of(pretrain, [pretrain] * 3, scratch))
    assert list(found.loc[["discarded/all", "discarded/orders", "discarded/some"], "mean"]) == pytest.approx([0] * 3)
    assert of_keys(found, "discarded/a") == [NOT_MET]
    assert overall(found[found["key"].isin(["discarded/all", "discarded/orders", "discarded/some"])]) == NOT_MET
    assert found.loc["discarded/all", "vs_sign"] == found.loc["discarded/all", "vs_placement"] == "less"
    assert found.loc["discarded/all", "sign"] == pytest.approx(1, rel=0.1)  # half of the signs agree
    assert found.loc["preserved/share", "mean"] == pytest.approx(1)
    assert of_keys(found, "preserved/") == ["", MET, MET, MET]
    assert found.loc["preserved/sign", "mean"] == pytest.approx(0.5, abs=0.05)
    assert MET not in [*of_keys(found, "discarded/"), *of_keys(found, "new/")]
    assert of_keys(found, "jaccard/early") == [MET]  # similar to its last epoch from the first on; scratch is not


def test_models_that_share_nothing_preserve_what_any_two_do(study_of):
    """Over several draws: by accident one in forty of the claims is met, which rest on the same numbers in part."""
    beyond, others = [], []
    for seed in range(6):
        pretrain, finetune, scratch, *early = gaussian(7, seed)
        found = claimed(study_of(pretrain, [early[0], early[1], finetune], [early[2], early[3], scratch]))
        beyond += of_keys(found, "preserved/")[1:]
        others.append(
            MET in [*of_keys(found, "discarded/")[3:], *of_keys(found, "new/"), *of_keys(found, "jaccard/early")]
        )
        twice, ratio = found.loc["discarded/all"], found.loc["ratio/weighted"]
        assert twice["mean"] == pytest.approx(1 + np.sqrt(2), rel=0.1)
        assert twice["verdict"] == MET, "unrelated models do, too, as the references say:"
        assert list(twice[["placement", "sign", "task"]]) == pytest.approx([1 + np.sqrt(2)] * 3, rel=0.1)
        assert ratio["mean"] == pytest.approx(ratio["sign"], abs=0.06)
    assert (len(beyond), beyond.count(MET)) == (18, 0)
    assert sum(others) <= 2


def test_fine_tuning_that_ends_as_scratch_does_preserves_no_more_than_it(study_of):
    pretrain, early, last = gaussian(3)
    found = claimed(study_of(pretrain, [early, last], [early, last]))
    task = found.loc["preserved/task"]
    assert list(task[["mean", "low", "high", "verdict"]]) == [0, 0, 0, NOT_MET]
    for name in ("discarded/all", "discarded/some", "preserved/share", "discarded/share"):
        row = found.loc[name]
        assert list(row[["task_excess", "task_low", "task_high", "vs_task"]]) == [0, 0, 0, "equal"], name
        assert list(row[["equal_task_excess", "equal_task_low", "equal_task_high"]]) == pytest.approx([0] * 3), name
    assert found.loc["ratio/weighted", "mean"] == 1


def test_what_depends_on_the_probes_regularisation_is_said_to(study_of):
    """The pre-trained model's interactions are five times as strong: most of them is discarded, for no other reason."""
    pretrain, *others = gaussian(4)
    found = claimed(study_of(5 * pretrain, [pretrain] * 3, others))
    rows = found[found["claim"] == found.loc["discarded/all", "claim"]]
    assert list(rows["mean"]) == pytest.approx([4] * 3)
    assert list(rows["verdict"]) == [MET] * 3
    assert list(rows["equal_mean"]) == pytest.approx([0] * 3, abs=1e-9)
    assert overall(rows) == SCALE
    assert overall(found[found["claim"] == found.loc["preserved/sign", "claim"]]) == MET


def test_fine_tuning_that_reverses_everything_discards_more_than_independent_models_would(study_of):
    pretrain, *scratch = gaussian(4)
    finetune = np.where(np.random.default_rng(9).random(pretrain.shape) < 0.05, pretrain, -pretrain)
    found = claimed(study_of(pretrain, [finetune] * 3, scratch))
    twice = found[found["claim"] == found.loc["discarded/all", "claim"]]
    assert overall(twice) == MET
    assert found.loc["discarded/all", "vs_sign"] == "more"
    assert of_keys(found, "preserved/") == ["", NOT_MET, NOT_MET, NOT_MET]


def test_scratch_that_learns_30_percent_of_everything_preserved(study_of):
    pretrain = gaussian(1)[0]
    found = claimed(study_of(pretrain, [pretrain] * 3, [0.3 * pretrain] * 3))
    rows = found[found["measure"] == "ratio"]
    assert list(rows["mean"]) == pytest.approx([0.3] * 3)
    assert overall(rows.drop(columns=[name for name in rows if name.startswith("equal_")])) == MET
    assert list(rows["equal_mean"]) == pytest.approx([1] * 3)
    assert overall(rows) == SCALE
    assert set(rows["vs_sign"]) == {"more"}, "its signs agree"
    assert list(rows["sign"]) == pytest.approx([0.15] * 3, abs=0.02)


def test_knowledge_that_is_lost_at_high_order_only(study_of):
    pretrain, *scratch = gaussian(4)
    finetune = np.where(ORDER > N / 2, -pretrain, np.where(ORDER % 2, 0.9, 1.1) * pretrain)
    found = claimed(study_of(pretrain, [finetune] * 3, scratch))
    assert of_keys(found, "discarded/growth") == of_keys(found, "discarded/share") == [MET]
    assert of_keys(found, "new/") == [MET] * 2
    same = claimed(study_of(pretrain, [-finetune] * 3, scratch))
    assert of_keys(same, "discarded/growth") == of_keys(same, "discarded/share") == of_keys(same, "new/sh") == [NOT_MET]


def test_shares_of_the_strength_leave_the_empty_set_out(study_of):
    """It is what the models say of no variable at all."""
    pretrain, *scratch = gaussian(4)
    finetune = np.where(ORDER == 0, 1000.0, np.where(ORDER % 2, 1, -1) * pretrain)
    found = claimed(study_of(np.where(ORDER == 0, 1000.0, pretrain), [finetune] * 3, scratch))
    assert found.loc["discarded/all", "mean"] < 0.1
    some = abs(pretrain[:, ORDER > 0])
    share = some[:, ORDER[ORDER > 0] % 2 == 1].sum() / some.sum()
    assert found.loc["preserved/share", "mean"] == pytest.approx(share)
    assert found.loc["discarded/some", "mean"] == pytest.approx((1 - share) / share)


def test_a_curve_that_goes_up_and_down_is_less_steady(study_of):
    pretrain, last, noise = gaussian(3)
    steady = [share * last + (1 - share) * noise for share in (0.2, 0.4, 0.6, 0.8, 1)]
    shaky = [share * last + (1 - share) * noise for share in (0.2, 0.8, 0.2, 0.8, 1)]
    assert of_keys(claimed(study_of(pretrain, steady, shaky)), "jaccard/falls") == [MET] * 2
    assert of_keys(claimed(study_of(pretrain, shaky, steady)), "jaccard/falls") == [NOT_MET] * 2


def test_the_same_curve_is_neither_steadier_nor_sooner_than_itself(study_of):
    pretrain, early, last = gaussian(3)
    curve = [early, 0.5 * early + 0.5 * last, early, last]
    found = claimed(study_of(pretrain, curve, curve))
    assert of_keys(found, "jaccard/") == [NOT_MET] * 3
    assert list(found.loc[found["measure"] == "jaccard", "mean"]) == [0] * 3


def test_where_no_curve_falls_none_is_steadier(study_of):
    pretrain, early, last = gaussian(3)
    found = claimed(study_of(pretrain, [early, last], [early, early, last]))
    falls = found.loc["jaccard/falls"]
    assert (falls["verdict"], falls["why"]) == (IMPOSSIBLE, "no curve falls")
    assert overall(found[found["claim"] == falls["claim"]]) == IMPOSSIBLE


def test_benefit_is_measured_on_the_test_set(study_of):
    models = gaussian(3)
    study = study_of(models[0], [models[1]] * 3, [models[2]] * 3)
    trained = outcomes(pretrain=[0.7], finetune=[0.1, 0.9, 0.95], scratch=[0.1, 0.5, 0.8])
    found = claimed(study, trained)
    assert list(found.loc[["accuracy/gain", "accuracy/sooner", "accuracy/over_probe"], "mean"]) == pytest.approx(
        [0.15, 1, 0.25]
    )
    assert "on 200 test samples" in found.loc["accuracy/gain", "quantity"]
    assert of_keys(found, "accuracy/") == [MET] * 3
    assert of_keys(claimed(study), "accuracy/") == [NOT_MET] * 2


def test_a_model_that_never_leaves_the_most_frequent_class_converges_at_no_epoch(study_of):
    models = gaussian(3)
    study = study_of(models[0], [models[1]] * 3, [models[2]] * 3)
    flat = claimed(study, outcomes(finetune=[0.1, 0.9, 0.95], scratch=[0.25, 0.25, 0.2]))
    assert of_keys(flat, "accuracy/gain") == [MET]
    assert list(flat.loc["accuracy/sooner", ["verdict", "why"]]) == [
        IMPOSSIBLE, "from scratch never left the most frequent class"
    ]  # fmt: skip
    both = claimed(study, outcomes(finetune=[0.1, 0.25, 0.25], scratch=[0.2, 0.2, 0.2]))
    assert of_keys(both, "accuracy/") == [IMPOSSIBLE] * 2


def test_without_training_from_scratch_fine_tuning_is_compared_with_the_frozen_features_alone(study_of):
    models = gaussian(2)
    study = study_of(models[0], [models[1]] * 2, [])
    study.outcomes, study.labels = outcomes(pretrain=[0.7], finetune=[0.1, 0.9]), np.arange(200) % 4
    accuracy = load("accuracy", {})
    assert not accuracy.claims_lack(study)
    (claim,) = accuracy.claims(accuracy.samples(study))
    assert (claim.key, claim.verdict) == ("accuracy/over_probe", MET)
    assert claim.result.value == pytest.approx(0.2)


def test_one_epoch_alone_is_neither_steadier_nor_sooner(study_of):
    pretrain, finetune, scratch = gaussian(3)
    for models in (([finetune], [scratch]), ([finetune] * 2, [scratch])):
        found = claimed(study_of(pretrain, *models), outcomes(finetune=[0.9], scratch=[0.8]))
        assert of_keys(found, "jaccard/") == [IMPOSSIBLE] * 3
        assert set(found.loc[found["measure"] == "jaccard", "why"]) == {"there is one epoch alone"}


@pytest.mark.parametrize("n", [1, 2])
def test_few_variables_and_one_epoch_make_claims_without_warnings(study_of, n):
    models = np.random.default_rng(0).normal(size=(3, 5, 2**n))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = claimed(study_of(models[0], [models[1]] * 2, [models[2]] * 2, empty_set=False))
    assert set(found["verdict"]) <= {"", MET, NOT_MET, UNDECIDED, IMPOSSIBLE}
