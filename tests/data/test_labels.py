"""Random and shifted labels are those of their definition, in all tasks, forms and stages."""

import pickle

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from scipy.stats import chisquare
from studies import ROOT

from conf import schema
from conf.errors import BadInput
from data import stand_in
from data.labels import added, relabelled
from data.module import Batches
from data.splits import InMemory, Splits, task

MANY = 20_000
schema.register()


def made(samples: int, classes: int = 10) -> Splits:
    labels = np.arange(samples) % classes
    inputs = torch.arange(samples)[:, None]
    return Splits(*(InMemory(inputs, labels) for _ in range(2)), tuple(map(str, range(classes))))


def composed(*overrides: str) -> object:
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        return compose("config", ["output=/tmp", *overrides])


@pytest.mark.parametrize("random", [1, 4, 9])
def test_what_is_added_is_uniform_up_to_the_degree(random):
    for part in (0, 1):
        counts = np.bincount(added(MANY, random, seed=3, part=part))
        assert len(counts) == random + 1
        assert chisquare(counts).pvalue > 1e-3


def test_labels_are_those_of_the_definition():
    given, found = made(MANY).train, relabelled(made(MANY), random=4, shift=7, seed=3)
    np.testing.assert_array_equal(found.train.labels, (given.labels + added(MANY, 4, 3, 0) + 7) % 10)
    steps = np.bincount((found.train.labels - given.labels) % 10, minlength=10)
    assert (steps > 0).tolist() == [True, True, False, False, False, False, False, True, True, True]
    assert relabelled(made(5), shift=1).test.labels.tolist() == [1, 2, 3, 4, 5]
    assert relabelled(made(12), shift=1).test.labels[9] == 0


def test_labels_of_the_highest_degree_say_nothing_of_the_old_ones():
    found = relabelled(made(MANY), random=9)
    pairs = np.bincount(10 * (np.arange(MANY) % 10) + found.train.labels, minlength=100)
    assert chisquare(pairs).pvalue > 1e-3


def test_training_and_test_labels_and_those_of_other_seeds_have_nothing_in_common():
    one, other, test = added(MANY, 9, 0, 0), added(MANY, 9, 1, 0), added(MANY, 9, 0, 1)
    for second in (other, test):
        assert chisquare(np.bincount(10 * one + second, minlength=100)).pvalue > 1e-3


def test_the_first_samples_of_a_larger_draw_have_the_same_labels():
    np.testing.assert_array_equal(added(50, 9, 5, 0), added(500, 9, 5, 0)[:50])
    assert (added(500, 9, 5, 0) >= added(500, 4, 5, 0)).all()


def test_a_task_with_its_own_labels_is_itself():
    splits = made(20)
    assert relabelled(splits) is splits


@pytest.mark.parametrize(("key", "value"), [("random", 10), ("shift", 10), ("shift", 99)])
def test_more_than_the_classes_is_refused(key, value):
    with pytest.raises(BadInput, match=rf"^data.labels.{key}={value} is not allowed: a number from 0 to 9 is expected"):
        relabelled(made(20), **{key: value})


TEXT = ["data=phrases", "model=bert_tiny", "data.target.train_samples=40", "data.target.test_samples=40"]
DIGITS = ["data.target.train_samples=40", "data.target.test_samples=40"]


@pytest.mark.parametrize(("options", "classes"), [(TEXT, 2), (DIGITS, 10)])
def test_images_and_sentences_keep_all_but_their_labels(options, classes):
    plain, found = (task(composed(*options, f"data.labels.random={d}"), "target") for d in (0, classes - 1))
    for part, name in enumerate(("train", "test")):
        one, other = getattr(plain, name), getattr(found, name)
        expected = (np.asarray(one.labels) + added(len(one), classes - 1, 0, part)) % classes
        assert [other[i][1] for i in range(len(other))] == other.labels.tolist() == expected.tolist()
        assert all(torch.equal(one[i][0], other[i][0]) for i in range(len(one)))
        if plain.kind == "text":
            assert other.texts == one.texts
            assert other.words(3) == one.words(3)


def test_every_augmented_form_of_an_image_has_the_label_of_the_image(tmp_path):
    options = [
        "data=cifar10",
        "data.synthetic=3",
        "data.labels.random=9",
        "data.labels.shift=2",
        "model.weights=scratch",
    ]
    found = task(composed(*options), "target")
    assert found.training.labels.tolist() == found.train.labels.tolist()
    seen = []
    for epoch in (0, 1):
        found.training.set_epoch(epoch)
        seen.append(found.training[4])
    assert seen[0][1] == seen[1][1] == found.train[4][1]
    assert not torch.equal(seen[0][0], seen[1][0])


def test_the_source_task_keeps_its_labels():
    source = task(composed("data.labels.random=9"), "source").train
    np.testing.assert_array_equal(source.labels, task(composed(), "source").train.labels)


def test_labels_depend_on_the_seed_of_the_data_alone():
    def labels(*options):
        return task(
            composed(*DIGITS, "data.labels.random=9", "data.target.seed=0", *options), "target"
        ).train.labels.tolist()

    assert labels() == labels("seeds.train=1", "seeds.pretrain=1", "seeds.samples=1", "data.target.test_samples=30")
    assert labels() != labels("seeds.data=1")


def test_workers_and_batches_see_the_new_labels():
    class AtOnce(InMemory):
        def __getitems__(self, indices):
            return [self[index] for index in indices]

    splits = made(20)
    changed = relabelled(Splits(AtOnce(splits.train.inputs, splits.train.labels), splits.test, splits.classes), shift=3)
    assert pickle.loads(pickle.dumps(changed.test)).labels.tolist() == changed.test.labels.tolist()
    batch = next(iter(torch.utils.data.DataLoader(changed.train, batch_size=20)))
    assert batch[1].tolist() == changed.train.labels.tolist()
    assert next(iter(Batches(changed, 4, 0).val_dataloader()))[1].tolist() == changed.test.labels.tolist()


def test_a_stand_in_is_still_one():
    splits = stand_in.task({"size": 8}, train=20, test=20, classes=10)
    assert stand_in.is_stand_in(relabelled(splits, shift=1).train)
