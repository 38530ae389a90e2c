"""The test set of a data set, in two parts that are trained on and tested with.

A model that was pre-trained on the training set has seen none of these images, and knows the task: what changes when
such a model is trained further is not a matter of other classes or of images that it knows by heart.
"""

from functools import cache
from typing import Annotated

import numpy as np
from PIL import Image

from conf.errors import BadInput
from conf.nested import Described
from data.arguments import Samples, Seed
from data.pictures import Files, Pictures, Raw
from data.splits import balanced_order


class Part(Pictures):
    """Some of the images of a split. indices: their numbers there."""

    def __init__(self, whole: Pictures, indices: np.ndarray) -> None:
        self.whole, self.indices, self.few = whole, indices, whole.few
        self.labels = whole.labels[indices]

    def open(self, index: int) -> Image.Image:
        return self.whole.open(int(self.indices[index]))

    def name(self, index: int) -> str:
        return self.whole.name(int(self.indices[index]))


@cache
def halves(
    files: Annotated[Raw, Described("conf/data/cifar10_halves.yaml")], train: Samples, test: Samples, seed: Seed
) -> Raw:
    """Draws `train` images and then `test` others from the test set of `files`, each with as many of every class as
    possible. Of a synthetic set with fewer images, each part is one half.

    Raises BadInput if there are fewer.
    """
    whole = files.test
    total = len(whole.labels)
    if train + test > total:
        if not whole.few:
            raise BadInput(
                f"train={train} and test={test} are more than the {total:,} images of the test set: choose fewer"
            )
        train = test = total // 2
    order = balanced_order(whole.labels, seed)
    return Raw(_part(whole, order[:train]), _part(whole, order[train : train + test]), files.classes)


def _part(whole: Pictures, indices: np.ndarray) -> Pictures:
    """Files stay files, which are checked before any work (data/intact.py)."""
    if isinstance(whole, Files):
        return Files([whole.paths[index] for index in indices], whole.labels[indices])
    return Part(whole, indices)
