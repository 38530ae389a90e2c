"""What tells the samples of a target task apart: they themselves, not the seed that may have drawn them."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

from analysis.inputs import data_of
from data.splits import InMemory, Splits


@pytest.fixture
def splits():
    """splits(test=1): a task whose test inputs were drawn with this seed."""

    def of(train=0, test=0, labels=0):
        def split(seed, labels=0):
            inputs = torch.from_numpy(np.random.default_rng(seed).normal(size=(8, 3)))
            return InMemory(inputs, np.roll(np.arange(8) % 3, labels))

        return Splits(split(train), split(test, labels), ["a", "b", "c"])

    return of


def named(splits, **settings):
    cfg = OmegaConf.create({"data": {"target": {"_target_": "data.images.task"}}})
    other = SimpleNamespace(settings={"data.source.seed": 5})
    target = SimpleNamespace(settings={f"data.target.{key}": value for key, value in settings.items()} | {"n": 9})
    inputs = {"pretrain": SimpleNamespace(settings={"data.target.x": 1}), "probe": other, "finetune": target}
    return data_of(cfg, SimpleNamespace(inputs=inputs), splits)


def test_the_same_samples_are_the_same_whatever_the_seed(splits):
    first = named(splits(), size=32, seed=0)
    assert first.startswith("task-")
    assert named(splits(), size=32, seed=1) == first
    assert named(splits(), size=32) == first
    assert named(splits(), **{"size": 32, "files.seed": 3}) == first


@pytest.mark.parametrize("other", [{"test": 1}, {"train": 1}, {"labels": 1}])
def test_other_samples_are_others_whatever_the_settings(splits, other):
    assert named(splits(**other), size=32, seed=0) != named(splits(), size=32, seed=0)


def test_other_settings_make_other_samples(splits):
    """Beyond the first inputs, which may be equal."""
    assert named(splits(), size=16) != named(splits(), size=32)


def test_few_samples_are_enough(splits):
    task = splits()
    short = Splits(task.train, InMemory(task.test.inputs[:1], task.test.labels[:1]), task.classes)
    assert named(short, size=32) != named(task, size=32)
