"""The labels of a task: those of every task pass through this file, whatever its data.

How much of what a network learns is structure, and how much is learned by heart? Labels that are random in part tell
(arXiv 2207.09225). Of D classes, numbered from 0, the label y of a sample becomes

    (y + Y + shift) mod D        with Y uniform on 0, 1 ... random

With random=0 and shift=0 it stays. With random=D-1 it says nothing of the input any more. A shift alone renames the
classes: the same task for a new head, while a head that knew the old names has to learn them again.

Y is drawn once, from a seed, for training and test samples each: all stages, epochs and augmented forms of a sample see
the same label. It belongs to the sample's place in the task: a class-balanced draw of more samples begins with those of
a smaller one, so they keep their labels. A larger `random` changes labels from the same draw, so that Y only grows.
"""

from dataclasses import replace
from typing import TypeVar

import numpy as np
from torch.utils.data import Dataset

from conf.errors import BadInput

Task = TypeVar("Task")  # data.splits.Splits, which is built with this file and so can't be imported here


class Relabelled(Dataset):
    """The samples of a data set with other labels [N]; all else that is asked for is that of the data set."""

    def __init__(self, dataset: Dataset, labels: np.ndarray) -> None:
        self.dataset, self.labels = dataset, labels

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple:
        inputs, _ = self.dataset[index]
        return inputs, int(self.labels[index])

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):  # such as __getitems__, by which a data set may give several samples at once
            raise AttributeError(name)
        return getattr(self.dataset, name)


def relabelled(splits: Task, random: int = 0, shift: int = 0, seed: int = 0) -> Task:
    """Returns the task with the labels that are learned and tested, from the task as it was built (data/splits.py).

    Raises BadInput for numbers that the task has no classes for.
    """
    count = len(splits.classes)
    for key, value in (("random", random), ("shift", shift)):
        if not 0 <= value < count:
            raise BadInput(
                f"data.labels.{key}={value} is not allowed: a number from 0 to {count - 1} is expected, as data.target "
                f"has {count} classes"
            )
    if random == shift == 0:
        return splits
    changed = {}
    for part, name in enumerate(("train", "test")):
        labels = np.asarray(getattr(splits, name).labels)
        changed[name] = (labels + added(len(labels), random, seed, part) + shift) % count
    return replace(
        splits,
        train=Relabelled(splits.train, changed["train"]),
        test=Relabelled(splits.test, changed["test"]),
        training=splits.training and Relabelled(splits.training, changed["train"]),
    )


def added(samples: int, random: int, seed: int, part: int) -> np.ndarray:
    """Returns Y of each sample, [samples] int. part: 0 for training samples, 1 for test samples."""
    draw = np.random.default_rng([seed, *b"labels", part])  # a seed alone draws which samples a task takes
    return (draw.random(samples) * (random + 1)).astype(int)  # of more samples the first are the same
