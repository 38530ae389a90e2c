import numpy as np
import pytest

from analysis.formulas.ratio import learned, terms
from analysis.formulas.references import shared


@pytest.fixture
def models():
    return np.random.default_rng(0).normal(size=(3, 7, 32))


def by_loop(pretrain, finetune, scratch):
    """Eq. 8 for one sample: learned / P and P, for each S."""
    each, preserved = [], []
    for pre, fine, scr in zip(pretrain, finetune, scratch, strict=True):
        p = min(abs(pre), abs(fine)) if np.sign(pre) == np.sign(fine) else 0
        part = min(abs(scr), p) if np.sign(pre) == np.sign(scr) else 0
        each.append(part / p if p else 0)
        preserved.append(p)
    return np.array(each), np.array(preserved)


def ratios(pretrain, finetune, scratch):
    preserved = shared(pretrain, finetune)
    return terms(preserved, learned(preserved, pretrain, scratch))


def test_the_three_definitions_equal_a_direct_loop(models):
    found = ratios(*models)
    each, preserved = np.stack([by_loop(*sample) for sample in zip(*models, strict=True)], axis=1)
    quotient = {name: above.mean() / below.mean() for name, (above, below) in found.items()}
    assert quotient == pytest.approx(
        {
            "paper": each.mean(),
            "positive": each[preserved > 0].mean(),
            "weighted": (each * preserved).sum() / preserved.sum(),
        },
        rel=1e-12,
    )


def test_the_terms_are_per_sample(models):
    found = ratios(*models)
    for sample in range(7):
        alone = ratios(*models[:, sample])
        for name, (above, below) in found.items():
            assert (above[sample], below[sample]) == pytest.approx(tuple(map(float, alone[name])), rel=1e-12)


def test_scratch_that_has_the_preserved_learns_all_of_it(models):
    pretrain, finetune, _ = models
    for scratch in (pretrain, finetune, 100 * pretrain):
        found = {
            name: above.mean() / below.mean() for name, (above, below) in ratios(pretrain, finetune, scratch).items()
        }
        assert found["positive"] == found["weighted"] == pytest.approx(1)
        assert found["paper"] == (pretrain * finetune > 0).mean()


def test_the_opposite_sign_is_not_learned(models):
    pretrain, finetune, _ = models
    assert (learned(shared(pretrain, finetune), pretrain, -pretrain) == 0).all()


def test_nothing_preserved_gives_zero_over_zero_without_warnings(models):
    pretrain, _, scratch = models
    with np.errstate(all="raise"):
        found = ratios(pretrain, -pretrain, scratch)
    assert all((above == 0).all() for above, _ in found.values())
    assert (found["paper"][1] == 1).all()
    assert (found["positive"][1] == 0).all()
    assert (found["weighted"][1] == 0).all()
