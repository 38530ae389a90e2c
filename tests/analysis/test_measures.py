import numpy as np
import pytest

from analysis.formulas.decomposition import decompose
from analysis.formulas.faithfulness import faithfulness
from analysis.formulas.jaccard import jaccard
from analysis.measures import Measures
from analysis.statistics.chance import permuted
from interactions.mobius import orders, values


@pytest.fixture
def models():
    return np.random.default_rng(1).normal(size=(5, 8, 16))


@pytest.fixture
def measures(study_of, models):
    pretrain, early, finetune, untrained, scratch = models
    return Measures(study_of(pretrain, [early, finetune], [untrained, scratch]))


def test_strengths_are_means_per_order_of_the_last_epochs(measures, models):
    pretrain, finetune = models[0], models[2]
    expected = (abs(pretrain), abs(finetune), *decompose(pretrain, finetune))
    for found, strength in zip(measures.strengths.observed, expected, strict=True):
        for k in range(5):
            np.testing.assert_allclose(found[:, k], strength[:, orders(4) == k].mean(1), rtol=1e-9, atol=1e-12)


def test_chance_permutes_the_fine_tuned_model_only(measures, models):
    for permutation, found in zip(measures.study.permutations, measures.strengths.by_chance, strict=True):
        expected = decompose(models[0], permuted(models[2], permutation)).preserved
        np.testing.assert_allclose(found[2] @ [1, 4, 6, 4, 1], expected.sum(1), rtol=1e-9)
        for part in (0, 1):  # strengths per order stay, apart from orders 0 and n, which change samples
            np.testing.assert_allclose(found[part].mean(0), measures.strengths.observed[part].mean(0), rtol=1e-9)


def test_chance_of_the_ratio_leaves_what_is_preserved(measures):
    above, below = measures.ratios["weighted"].observed
    for other, same in measures.ratios["weighted"].by_chance:
        np.testing.assert_array_equal(same, below)
        assert (other != above).any()


def test_similarities_are_to_the_last_epoch(measures, models):
    for model, first, last in (("finetune", models[1], models[2]), ("scratch", models[3], models[4])):
        (observed,), by_chance = measures.similarities[model]
        np.testing.assert_allclose(observed[:, 0], jaccard(first, last), rtol=1e-9)
        np.testing.assert_array_equal(observed[:, 1], 1)
        for (draw,), permutation in zip(by_chance, measures.study.permutations, strict=True):
            np.testing.assert_allclose(draw[:, 0], jaccard(permuted(first, permutation), last), rtol=1e-9)
            assert (draw[:, 1] < 0.9).all()  # the permuted last epoch is not the last epoch


def test_faithfulness_is_of_every_epoch_and_its_chance_permutes_the_values(measures, models):
    for model, epochs in (("pretrain", models[:1]), ("finetune", models[1:3]), ("scratch", models[3:])):
        observed, by_chance = measures.faithfulness[model]
        for epoch, strength in enumerate(epochs):
            v = values(strength)
            np.testing.assert_allclose([part[:, epoch] for part in observed], faithfulness(v), rtol=1e-9)
            for permutation, draw in zip(measures.study.permutations, by_chance, strict=True):
                np.testing.assert_allclose(
                    [part[:, epoch] for part in draw], faithfulness(permuted(v, permutation)), rtol=1e-9
                )
