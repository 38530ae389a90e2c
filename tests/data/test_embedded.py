from collections import Counter

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from sklearn.datasets import load_digits

from conf.errors import BadInput
from data.embedded import CHARACTERS, FACES, _glyph, digits, fixed_glyphs, glyphs, printed_digits
from data.splits import build


@pytest.mark.parametrize("face", FACES)
def test_every_character_has_ink_and_looks_unlike_the_others(face):
    drawn = np.stack([np.asarray(_glyph(face, character)) for character in CHARACTERS]).astype(float) / 255
    assert (drawn.sum((1, 2)) > 50).all()
    unlike = abs(drawn[:, None] - drawn).sum((2, 3)) + 1e9 * np.eye(62)
    assert unlike.min() > 10
    border = np.ones(drawn.shape[1:], dtype=bool)
    border[1:-1, 1:-1] = False
    assert (drawn[:, border] == 0).all()  # nothing is cut off


def test_a_glyph_depends_on_seed_epoch_and_index_only():
    one, other = (glyphs(20, 10, 16, seed=3) for _ in range(2))
    one.train.set_epoch(2)
    other.train.set_epoch(2)
    backward = {index: other.train[index] for index in reversed(range(20))}
    for index in range(20):
        assert torch.equal(one.train[index][0], backward[index][0])
        assert one.train[index][1] == backward[index][1] == index
    seeded = glyphs(20, 10, 16, seed=4).train
    seeded.set_epoch(2)
    assert not any(torch.equal(one.train[index][0], seeded[index][0]) for index in range(20))


def test_every_epoch_has_new_glyphs_and_the_test_set_others():
    splits = glyphs(20, 20, 16, seed=0)
    seen = [torch.stack([splits.test[index][0] for index in range(20)])]
    for epoch in range(3):
        splits.train.set_epoch(epoch)
        seen.append(torch.stack([splits.train[index][0] for index in range(20)]))
    for first in range(4):
        for second in range(first):
            assert not (seen[first] == seen[second]).flatten(1).all(1).any()


def test_fixed_glyphs_are_those_of_the_first_epoch_in_every_epoch():
    stream, fixed = (make(20, 10, 16, seed=3) for make in (glyphs, fixed_glyphs))
    assert fixed.classes == stream.classes
    for split, count in (("train", 20), ("test", 10)):
        mine, theirs = getattr(fixed, split), getattr(stream, split)
        assert len(mine) == count
        assert mine.labels.tolist() == theirs.labels.tolist()
        for index in range(count):
            assert torch.equal(mine[index][0], theirs[index][0])
            assert mine[index][1] == theirs[index][1]
    assert fixed.training is None  # nothing else is seen in training
    assert not hasattr(fixed.train, "set_epoch")


def test_all_62_classes_are_there_and_visible():
    splits = glyphs(124, 62, 32, seed=0)
    assert splits.classes == tuple(CHARACTERS)
    assert len(set(splits.classes)) == 62
    assert set(Counter(splits.train.labels.tolist()).values()) == {2}
    for index in range(124):
        image, label = splits.train[index]
        assert label == splits.train.labels[index] == index % 62
        assert image.shape == (3, 32, 32)
        assert image.dtype == torch.float32
        assert (image.max() - image.min()) > 1  # of the 2 between black and white, apart from noise


def test_images_are_grey_and_in_the_networks_scale():
    for dataset in (glyphs(62, 1, 24, seed=0).train, digits(100, 100, 24, seed=0).test):
        images = torch.stack([dataset[index][0] for index in range(50)])
        assert (images == images[:, :1]).all()
        assert images.shape == (50, 3, 24, 24)
        assert -2 < images.min() < -0.9  # black is -1, white 1; glyphs have noise
        assert 0.9 < images.max() < 2


def test_digits_are_the_bundled_ones():
    splits = digits(100, 800, 8, seed=0)  # at their own size nothing is interpolated
    images, labels = load_digits(return_X_y=True)
    known = {image.tobytes(): label for image, label in zip(images, labels, strict=True)}
    for dataset in (splits.train, splits.test):
        for image, label in (dataset[index] for index in range(len(dataset))):
            assert known[((image[0] * 0.5 + 0.5) * 16).double().flatten().numpy().tobytes()] == label


def rows(dataset):
    return {image.numpy().tobytes() for image in dataset.inputs}


def test_digits_for_training_and_test_are_disjoint():
    splits = digits(597, 1200, 8, seed=0)
    train, test = rows(splits.train), rows(splits.test)
    assert not train & test
    assert len(train | test) == len({image.tobytes() for image in load_digits().data})


def test_skipped_digits_are_those_of_another_task():
    before, task = digits(500, 100, 8, seed=0), digits(500, 797, 8, seed=0, skip=500)
    assert not rows(before.train) & (rows(task.train) | rows(task.test))
    assert len(rows(before.train) | rows(task.train) | rows(task.test)) == len(
        rows(digits(1000, 797, 8, 0).train) | rows(task.test)
    )
    for size in (50, 150):  # as conf/condition/random_50.yaml says
        few = digits(size, 797, 8, seed=0, skip=1000 - size)
        assert rows(few.train) < rows(task.train)
        assert torch.equal(few.test.inputs, task.test.inputs)
        assert np.bincount(few.train.labels).tolist() == [size // 10] * 10
    with pytest.raises(BadInput, match="test_samples=797, after skip=501, are more than the 1797 available images"):
        digits(500, 797, 8, seed=0, skip=501)


def test_printed_digits_are_the_characters_0_to_9_in_a_fixed_set():
    task, later = printed_digits(30, 20, 16, seed=0), printed_digits(20, 10, 16, seed=0, skip=10)
    assert task.classes == tuple("0123456789")
    assert task.train.labels.tolist() == [i % 10 for i in range(30)]
    stream = glyphs(30, 20, 16, seed=0).train
    assert all(torch.equal(task.train[i][0], stream[i][0]) for i in range(10)), "as characters, these are the digits"
    assert torch.equal(later.train.inputs, task.train.inputs[10:])
    assert torch.equal(later.test.inputs, task.test.inputs[10:])
    assert not rows(task.train) & rows(task.test)


@pytest.mark.parametrize("train_samples", [10, 100, 105])
def test_digits_are_balanced(train_samples):
    splits = digits(train_samples, 800, 8, seed=0)
    counts = np.bincount(splits.train.labels, minlength=10)
    assert counts.sum() == train_samples
    assert counts.max() - counts.min() <= 1
    test = np.bincount(splits.test.labels)
    assert test.max() - test.min() <= 2


def test_the_seed_decides_which_digits():
    first, again, other = (rows(digits(50, 10, 8, seed).train) for seed in (0, 0, 1))
    assert first == again
    assert len(first & other) < 10


def test_more_digits_than_there_are_is_refused():
    with pytest.raises(
        BadInput, match="train_samples=1000 and test_samples=798 are more than the 1797 available images"
    ):
        digits(1000, 798, 8, seed=0)


def task(**changed):
    options = {"_target_": "data.embedded.digits", "train_samples": 20, "test_samples": 20, "image_size": 8, "seed": 0}
    return OmegaConf.create(options | changed)


@pytest.mark.parametrize(("changed", "message"), [
    ({"train_samples": 9}, "data.target: the train set of 9 has no sample of class .; take more"),
    ({"test_samples": 3}, "data.target: the test set of 3 has no sample of class"),
    ({"train_samples": 1797}, "^data.target.train_samples=1797 and test_samples=20 are more than the 1797 avail"),
    ({"_target_": "data.embedded.nothing"}, "data.target can't be built"),
])  # fmt: skip
def test_a_task_that_cannot_be_learned_is_refused(changed, message):
    with pytest.raises(BadInput, match=message):
        build(task(**changed), "data.target")


def test_a_task_that_can_be_learned_is_built():
    assert len(build(task(), "data.target").train) == 20
