import numpy as np
import pytest

from analysis import tables
from analysis.formulas.accuracy import Outcomes
from analysis.formulas.decomposition import decompose
from analysis.formulas.faithfulness import faithfulness
from analysis.measures import Measures
from interactions.mobius import orders, values


@pytest.fixture
def models():
    return np.random.default_rng(2).normal(size=(5, 10, 16))


@pytest.fixture
def study(study_of, models):
    pretrain, early, finetune, untrained, scratch = models
    study = study_of(pretrain, [early, finetune], [untrained, scratch])
    for model, store in study.stores.items():
        sample, subset = np.arange(10), np.arange(10)
        v = study.values(model, study.last(model))[sample, subset]
        store.write_noise(study.last(model), sample=sample, subset=subset, value=v + 0.01)
    return study


def test_every_value_lies_in_its_interval_and_has_a_chance_level(study):
    measures = Measures(study)
    for table in (tables.decomposition(measures), tables.ratio(measures), tables.jaccard(measures)):
        assert (table["low"] <= table["mean"] + 1e-12).all()
        assert (table["mean"] <= table["high"] + 1e-12).all()
        assert np.isfinite(table["chance"]).all()


def test_decomposition_means_are_over_samples_and_subsets_of_an_order(study, models):
    table = tables.decomposition(Measures(study)).set_index(["order", "quantity"])["mean"]
    parts = dict(zip(("preserved", "discarded", "new"), decompose(models[0], models[2]), strict=True))
    for quantity, strength in ({"pretrain": abs(models[0]), "finetune": abs(models[2])} | parts).items():
        for k in range(5):
            assert table[k, quantity] == pytest.approx(strength[:, orders(4) == k].mean())
    assert len(table) == 25


def test_jaccard_has_every_epoch_and_ends_with_1(study):
    table = tables.jaccard(Measures(study)).set_index(["model", "epoch"])["mean"]
    assert sorted(table.index) == [("finetune", 0), ("finetune", 1), ("scratch", 0), ("scratch", 1)]
    assert table["finetune", 1] == table["scratch", 1] == 1
    assert table["scratch", 0] < 0.5


def test_accuracy_is_per_model_epoch_and_quantity():
    correct = np.array([[0, 1.0], [1, 1], [0, 0], [0, 1]])
    table = tables.accuracy({"finetune": Outcomes(correct, 1 - correct)}, np.array([0, 0, 1, 2]), 100, seed=0)
    found = table.set_index(["model", "quantity", "epoch"])
    assert found["mean"].tolist() == [0.25, 0.75, 0.75, 0.25]
    assert found.loc["finetune", "accuracy"]["chance"].tolist() == [0.5, 0.5]
    assert found.loc["finetune", "loss"]["chance"].tolist() == pytest.approx([1.5 * np.log(2)] * 2)


def test_faithfulness_is_of_all_interactions_whatever_the_options(study_of, models):
    study = study_of(models[0], [models[2]], [models[4]], salient=True, empty_set=False, normalise=True, tau=0.3)
    found = tables.faithfulness(Measures(study)).set_index(["model", "quantity"])["mean"]
    for model, strength in (("pretrain", models[0]), ("finetune", models[2]), ("scratch", models[4])):
        share, fit = faithfulness(values(strength), 0.3)
        assert found[model, "salient_share"] == pytest.approx(share.mean())
        assert found[model, "rebuilt"] == pytest.approx(fit.mean())


def test_noise_compares_the_last_epochs_with_their_values_in_float64(study, models):
    table = tables.noise(study)
    assert table["noise_v"].tolist() == pytest.approx([0.01] * 15)
    largest = [abs(values(models[i])).max() for i in (0, 2, 4)]
    assert table["explained"].tolist() == pytest.approx([2**-13 * v for v in largest for _ in range(5)])
    assert table.groupby("model")["epoch"].first().to_dict() == {"pretrain": 7, "finetune": 1, "scratch": 1}
    scratch = table[table["model"] == "scratch"].set_index("order")
    for k in range(5):
        assert scratch["noise"][k] == pytest.approx(0.01 * 2 ** (k / 2))
        assert scratch["share"][k] == pytest.approx(scratch["noise"][k] / abs(models[4][:, orders(4) == k]).mean())
