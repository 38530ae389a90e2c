import json

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

from conf.check import BadInput
from data.splits import InMemory, Splits
from interactions.patches import owner_map
from interactions.samples import choose, describe, load

LABELS = np.random.default_rng(0).permutation(np.arange(90) % 3)


@pytest.fixture
def splits():
    torch.manual_seed(0)
    datasets = (InMemory(torch.randn(len(labels), 3, 12, 12), labels) for labels in (np.arange(30) % 3, LABELS))
    return Splits(*datasets, classes=("a", "b", "c"))


def options(**changed):
    return OmegaConf.create({"n": 4, "grid": 4, "margin": 1, "samples": 9, "split": "test"} | changed)


def test_classes_are_balanced():
    assert np.bincount(LABELS[choose(LABELS, 3, 9, seed=0)]).tolist() == [3, 3, 3]
    counts = np.array([np.bincount(LABELS[choose(LABELS, 3, 11, seed)], minlength=3) for seed in range(20)])
    assert set(counts.ravel()) == {3, 4}
    assert (counts.max(0) == 4).all()  # the remainder goes to any class


def test_no_sample_is_chosen_twice_and_the_seed_decides():
    first = choose(LABELS, 3, 60, seed=1)
    assert len(set(first)) == 60
    assert first == choose(LABELS, 3, 60, seed=1)
    assert first != choose(LABELS, 3, 60, seed=2)


def test_too_few_of_a_class_is_refused():
    with pytest.raises(BadInput, match=r"interactions.samples=9 wants 3 of class 2, and there are 1"):
        choose(np.array([0, 0, 0, 1, 1, 1, 2]), 3, 9, seed=0)


def test_the_description_is_true_and_fits_into_json(splits):
    about = describe(splits, options(), seed=5)
    assert json.loads(json.dumps(about))["split"] == "test"
    assert (about["n"], about["kind"], len(about["samples"])) == (4, "image", 9)
    for sample in about["samples"]:
        assert sample["label"] == LABELS[sample["index"]]
        assert sample["class"] == "abc"[sample["label"]]
        assert len(sample["variables"]) == 4


def test_a_samples_variables_do_not_depend_on_the_other_samples(splits):
    few, all_ = (describe(splits, options(samples=count), seed=5)["samples"] for count in (6, 90))
    boxes = {sample["index"]: sample["variables"] for sample in all_}
    assert all(boxes[sample["index"]] == sample["variables"] for sample in few)


def test_samples_come_from_the_split_that_is_asked_for(splits):
    about = describe(splits, options(split="train", samples=30), seed=0)
    assert sorted(sample["index"] for sample in about["samples"]) == list(range(30))


def test_load_gives_inputs_and_owners_in_the_order_of_the_samples(splits):
    about = json.loads(json.dumps(describe(splits, options(), seed=5)))
    (group,) = load(splits, about)
    assert (group.first, group.owner.shape) == (0, (9, 1, 12, 12))
    assert group.labels.tolist() == [sample["label"] for sample in about["samples"]]
    for sample, image, owner in zip(about["samples"], group.inputs, group.owner, strict=True):
        assert torch.equal(image, splits.test.inputs[sample["index"]])
        assert torch.equal(owner, owner_map(sample["variables"], 12, 12))
