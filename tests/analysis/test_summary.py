import numpy as np
import pytest

from analysis import tables
from analysis.summary import left_out, noise_warnings
from conf.schema import MEASURES


@pytest.mark.parametrize(
    ("models", "expected"),
    [
        (["pretrain", "finetune", "scratch"], None),
        (["pretrain", "finetune"],
         "as there is no model trained from scratch: ratio, the claims on what scratch learns, on how directly models "
         "learn, on accuracy"),
        (["finetune", "scratch"],
         "as there is no pre-trained model: decomposition, ratio, the claims on what fine-tuning discards, on what "
         "scratch learns"),
        (["pretrain"],
         "as there is no fine-tuned model and no model trained from scratch: decomposition, ratio, jaccard, the "
         "claims on what fine-tuning discards, on what scratch learns, on how directly models learn, on accuracy"),
    ],
)  # fmt: skip
def test_what_is_left_out_is_named_with_the_reason(models, expected):
    assert left_out(list(MEASURES), models).get("left out") == expected


def test_only_what_was_wanted_is_left_out():
    assert left_out(["ratio", "noise"], ["pretrain", "finetune"]) == {
        "left out": "as there is no model trained from scratch: ratio"
    }
    assert left_out(["jaccard", "noise"], ["pretrain", "finetune"]) == {}


@pytest.mark.parametrize(("share", "warned"), [(0.9, False), (1.1, True)])
def test_a_warning_appears_where_noise_is_more_than_rounding_explains(study_of, share, warned):
    study = study_of(*np.random.default_rng(0).normal(size=(1, 6, 16)), [], [])
    v = study.values("pretrain", 7)
    limit = 1024 * 2**-23 * abs(v).max()
    of_each = np.arange(6)
    study.stores["pretrain"].write_noise(7, sample=of_each, subset=of_each, value=v[of_each, of_each] + share * limit)
    found = noise_warnings(study, tables.noise(study))
    assert list(found) == (["warning, pre-trained"] if warned else [])
    if warned:
        text = found["warning, pre-trained"]
        assert f"{share * limit:.2g} and rounding in float32 explains at most {limit:.2g}" in text
        assert "other inputs of a batch" in text
        assert "interactions.precision=float64" in text


def test_in_float64_the_precision_is_not_too_low(study_of):
    study = study_of(np.random.default_rng(0).normal(size=(6, 16)), [], [], noise=0.1)
    file = study.stores["pretrain"].unit(7) / "meta.json"
    file.write_text('{"precision": "float64"}')
    (text,) = noise_warnings(study, tables.noise(study)).values()
    assert text.endswith("(such as the other inputs of a batch); change the model")


def test_each_model_has_its_own_warning(study_of):
    models = np.random.default_rng(0).normal(size=(3, 6, 16))
    study = study_of(models[0], models[1:2], models[2:], noise=0.1)
    assert list(noise_warnings(study, tables.noise(study))) == [
        "warning, pre-trained", "warning, fine-tuned", "warning, from scratch"
    ]  # fmt: skip
