import json
from pathlib import Path

import numpy as np
import pytest
from hydra import compose, initialize_config_dir

from analysis.loading import load
from analysis.report.opening import left_out, noise_warnings, summary
from conf import schema
from conf.measures import ours
from stages.files import write_text
from stages.identity import results_of

CONF = Path(__file__).resolve().parents[3] / "conf"

schema.register()


MODELS = ("pretrain", "finetune", "scratch")
ALL = ("decomposition", "ratio", "jaccard", "faithfulness", "noise")  # on interactions


@pytest.mark.parametrize(
    ("names", "models", "expected"),
    [
        (ALL, ["pretrain", "finetune", "scratch"], None),
        (ALL, ["pretrain", "finetune"],
         "as there is no model trained from scratch: ratio, the claims on how directly models learn"),
        (ALL, ["finetune", "scratch"], "as there is no pre-trained model: decomposition, ratio"),
        (ALL, ["pretrain"],
         "as there is no fine-tuned model: decomposition; as there is no fine-tuned model and no model trained from "
         "scratch: ratio, jaccard"),
        (["noise", "ratio"], ["pretrain", "finetune"], "as there is no model trained from scratch: ratio"),
        (["jaccard", "noise"], ["finetune", "scratch"], None),
        (["accuracy"], ["finetune", "scratch"],
         "as there is no pre-trained model and no fine-tuned model and no model trained from scratch with predictions "
         "of the test set: accuracy"),
    ],
)  # fmt: skip
def test_what_is_left_out_is_named_with_the_reason(study_of, names, models, expected):
    assert set(ALL) < set(ours())
    pretrain, *others = np.random.default_rng(0).normal(size=(3, 4, 8))
    finetune, scratch = ([one] if name in models else [] for one, name in zip(others, MODELS[1:], strict=True))
    study = study_of(pretrain if "pretrain" in models else None, finetune, scratch)
    assert left_out([load(name, {}) for name in names], study).get("left out") == expected


@pytest.mark.parametrize(("share", "warned"), [(0.9, False), (1.1, True)])
def test_a_warning_appears_where_noise_is_more_than_rounding_explains(study_of, share, warned):
    study = study_of(*np.random.default_rng(0).normal(size=(1, 6, 16)), [], [])
    v = study.values("pretrain", 7)
    limit = 1024 * 2**-23 * abs(v).max()
    of_each = np.arange(6)
    study.stores["pretrain"].write_noise(7, sample=of_each, subset=of_each, value=v[of_each, of_each] + share * limit)
    found = noise_warnings(study)
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
    (text,) = noise_warnings(study).values()
    assert text.endswith("(such as the other inputs of a batch); change the model")


def test_each_model_has_its_own_warning(study_of):
    models = np.random.default_rng(0).normal(size=(3, 6, 16))
    study = study_of(models[0], models[1:2], models[2:], noise=0.1)
    assert list(noise_warnings(study)) == [
        "warning, pre-trained", "warning, fine-tuned", "warning, from scratch"
    ]  # fmt: skip


@pytest.fixture
def summed_up(study_of, tmp_path):
    """summed_up(*overrides): what is said of a study of three models, with three epochs of pre-training."""
    models = np.random.default_rng(0).normal(size=(4, 6, 16))
    study = study_of(models[0], models[1:3], models[3:])

    def said(*overrides, l2=None):
        with initialize_config_dir(str(CONF), version_base="1.3"):
            cfg = compose("config", [f"output={tmp_path}", "pretrain.epochs=3", "probe.l2=0.01", *overrides])
        results = results_of(cfg)
        if l2:
            write_text(results["probe"].folder / "l2.json", json.dumps(l2))
        return summary(cfg, results, study)

    return said


def test_it_says_what_was_run(summed_up):
    found = summed_up()
    assert found["study"] == "digits, seed 0"
    assert found["variables"] == "n = 4, so 16 masked inputs per sample and checkpoint"
    assert found["samples"] == "6, from the test set"
    assert found["fine-tuned"] == "2 checkpoints, epochs 0 to 1"
    assert found["counted"] == "all interactions"


def test_it_says_what_fine_tuning_took_over(summed_up):
    assert summed_up("start.transfer=2")["fine-tuned"].endswith("to 1, from the first 2 of the pre-trained blocks")
    assert summed_up("start.transfer=nothing")["fine-tuned"].endswith("to 1, from random weights")
    assert summed_up("start.transfer=2")["from scratch"] == summed_up()["from scratch"]
    assert summed_up("start.head=kept")["fine-tuned"].endswith("to 1, with the pre-trained head")


def test_it_says_which_labels_were_learned(summed_up):
    assert summed_up()["target task"] == "data.embedded.digits"
    found = summed_up("data.labels.random=4", "data.labels.shift=2", "seeds.data=3")["target task"]
    assert found.endswith(
        "a random number from 0 to 4 was added to its labels (data seed 3), its labels were shifted by 2"
    )


@pytest.mark.parametrize(("overrides", "expected"), [
    (["probe.l2=1e-5"], "3 epochs on data.embedded.glyphs, seen through a linear probe with l2 = 1e-05"),
    ([], "3 epochs on data.embedded.glyphs, seen through a linear probe with l2 = 0.01"),
    (["start.epoch=2"], "2 epochs on data.embedded.glyphs, seen through a linear probe with l2 = 0.01"),
    (["model.weights=scratch"], "weights: scratch, seen through a linear probe with l2 = 0.01"),
    (["interactions.checkpoints.pretrain=run.py"], "run.py, with its linear probe"),
])  # fmt: skip
def test_the_pre_trained_model_is_what_probe_and_fine_tuning_start_from(summed_up, monkeypatch, overrides, expected):
    monkeypatch.chdir(CONF.parent)
    assert summed_up(*overrides)["pre-trained"] == expected


def test_the_l2_that_cross_validation_chose_is_said_with_the_reason(summed_up):
    found = summed_up("probe.l2=auto", l2={"l2": 0.03, "why": "chosen by 5-fold cross-validation", "losses": {}})
    assert found["pre-trained"].endswith("a linear probe with l2 = 0.03, chosen by 5-fold cross-validation")
