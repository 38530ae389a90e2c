"""Tasks of so many samples, in the place of those whose files are not there."""

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

from conf.errors import BadInput
from data.splits import build
from data.stand_in import MASK, PAD, is_stand_in, task
from interactions.variables.samples import describe, load

IMAGES, TEXTS = {"size": 8, "mean": 0.5, "std": 0.5}, {"tokenizer": "any/name", "max_length": 16, "truncate": False}


def test_images_are_as_many_and_as_large_as_wanted():
    splits = task(IMAGES, train=7, test=5, classes=3)
    assert (len(splits.train), len(splits.test), len(splits.classes), splits.kind) == (7, 5, 3, "image")
    assert np.bincount(splits.train.labels).tolist() == [3, 2, 2]
    image, label = splits.train[4]
    assert (image.shape, image.dtype, label) == ((3, 8, 8), torch.float32, 1)
    assert torch.equal(image, splits.train[4][0])
    assert not torch.equal(image, splits.train[5][0])


def test_sentences_have_so_many_tokens_and_a_word_for_each_but_two():
    splits = task(TEXTS, train=6, test=4, classes=2, tokens=12)
    ids, _ = splits.train[0]
    assert (ids.shape, ids.dtype, splits.kind) == ((12,), torch.int64, "text")
    assert {PAD, MASK}.isdisjoint(ids.tolist())
    assert [word.tokens for word in splits.train.words(0)] == [(position,) for position in range(1, 11)]


def test_sentences_are_cut_where_those_of_the_files_would_be():
    assert len(task(TEXTS | {"truncate": True}, 6, 4, 2, tokens=40).train[0][0]) == 16
    assert len(task(TEXTS, 6, 4, 2, tokens=40).train[0][0]) == 40


@pytest.mark.parametrize(("given", "tokens"), [(IMAGES, None), (TEXTS, 12)])
def test_variables_are_drawn_in_them_as_in_others(given, tokens):
    splits = build(OmegaConf.create({"_target_": "data.stand_in.task", "input": given, "train": 4, "test": 6,
                                     "classes": 2, "tokens": tokens}), "data.target")  # fmt: skip
    assert is_stand_in(splits.train)
    options = OmegaConf.create({"split": "test", "n": 3, "samples": 4, "grid": 2, "margin": 0, "stop_words": "default",
                                "shared_variables": False})  # fmt: skip
    (group,) = load(splits, describe(splits, options, seed=0))
    assert len(group.inputs) == 4
    assert set(group.owner.flatten().tolist()) >= {-1, 0, 1, 2}


@pytest.mark.parametrize(("given", "tokens", "message"), [
    (TEXTS, None, "data.size has no tokens"), (IMAGES, 12, "need a text model"), ({}, None, "need an image model"),
])  # fmt: skip
def test_a_model_of_other_inputs_is_refused(given, tokens, message):
    with pytest.raises(BadInput, match=message):
        task(given, 4, 4, 2, tokens)
