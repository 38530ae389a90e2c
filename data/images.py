"""Image tasks: selects images of a data set, and turns them into inputs of a model.

A reader (data/vision.py, official.py, folder.py, hub.py) deals with files; `task` deals with samples, size and scale.
"""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Annotated

import numpy as np
import torch
from PIL import Image
from torch.utils.data import Dataset
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as F

from conf.allowed import Choice, Flag, Number
from conf.errors import BadInput
from conf.first_line import first_line
from conf.nested import Described
from data.arguments import IMAGES, INTERPOLATION, Seed, Size, SomeOrAll
from data.pictures import Pictures, Raw
from data.splits import Splits, balanced_order
from data.threads import in_threads
from stages.progress import Bar

AUGMENT = ("imagenet", "crop_flip", "shift_flip", "none")
LEAST = {"imagenet": 0.08, "crop_flip": 0.25}  # the smallest part of an image's area that a crop takes


def task(
    files: Annotated[Raw, Described("conf/data/folder.yaml")],
    input: Annotated[Mapping, IMAGES],
    crop: Annotated[float, Number(0, 1, without=(0,))],
    augment: Annotated[str, Choice(AUGMENT)],
    train_samples: SomeOrAll,
    test_samples: SomeOrAll,
    seed: Seed,
    skip_corrupt: Annotated[bool, Flag()] = False,
    size: Size = None,
) -> Splits:
    """Builds an image task. input: what the model takes: size in pixels, mean and std (a number, or one per channel),
    interpolation.

    crop: the side of the central square that is used, as a share of the image's shorter side. train_samples,
    test_samples: the size of a class-balanced draw; None: all. size: how much the files hold, for a plan where they are
    missing (training/assumed.py); nothing here depends on it. Raises BadInput for values that can't be used.
    """
    side, interpolation = input["size"], v2.InterpolationMode(input.get("interpolation", INTERPOLATION[0]))
    mean, std = (_per_channel(input[key]) for key in ("mean", "std"))
    plain = Transform(_central(side, crop, interpolation), mean, std)
    chosen = [
        _chosen(pictures, name, samples, seed, skip_corrupt)
        for pictures, name, samples in ((files.train, "train", train_samples), (files.test, "test", test_samples))
    ]
    train, test = Images(files.train, chosen[0], plain), Images(files.test, chosen[1], plain)
    training = None
    if augment != "none":
        training = Augmented(files.train, chosen[0], Transform(_random(augment, side, interpolation), mean, std), seed)
    return Splits(train, test, files.classes, training, "image", mean, std)


class Transform:
    """Turns a PIL image into float32 [3, size, size], of mean 0 and standard deviation 1 if `mean` and `std` are
    right."""

    def __init__(self, shaped: Callable[[Image.Image], Image.Image], mean: list[float], std: list[float]) -> None:
        self.shaped = shaped
        self.mean, self.std = (torch.tensor(value).view(3, 1, 1) for value in (mean, std))

    def __call__(self, image: Image.Image) -> torch.Tensor:
        return (F.pil_to_tensor(self.shaped(image)) / 255).sub_(self.mean).div_(self.std)


class Images(Dataset):
    """The images of `pictures` with the numbers `indices`, always the same. labels: [N]."""

    def __init__(self, pictures: Pictures, indices: np.ndarray, transform: Transform) -> None:
        self.pictures, self.indices, self.transform = pictures, indices, transform
        self.labels = pictures.labels[indices]

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return self.transform(decoded(self.pictures, int(self.indices[index]))), int(self.labels[index])


class Augmented(Images):
    """Images that are changed at random: item i of epoch e is the same in every run with this seed and in every
    process."""

    def __init__(self, pictures: Pictures, indices: np.ndarray, transform: Transform, seed: int) -> None:
        super().__init__(pictures, indices, transform)
        self.seed, self.epoch = seed, 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        draw = np.random.SeedSequence([self.seed, self.epoch, index]).generate_state(1, np.uint64)
        with torch.random.fork_rng(devices=[]):
            # torch.manual_seed would also seed the GPU, and with it the dropout of the model in training.
            torch.default_generator.manual_seed(int(draw[0]))
            return super().__getitem__(index)


def decoded(pictures: Pictures, index: int) -> Image.Image:
    try:
        return pictures.open(index)
    except Exception as error:  # decoders raise many kinds
        raise BadInput(
            f"{pictures.name(index)} can't be read as an image ({first_line(error)}): replace it, "
            "or leave all such images out with data.skip_corrupt=true"
        ) from None


@cache
def readable(pictures: Pictures, name: str) -> np.ndarray:
    """Returns the numbers of the images that can be decoded; prints how many can't.

    Every image is decoded, once per process.
    """

    def fails(index: int) -> bool:
        try:
            pictures.open(index)
        except Exception:
            return True
        return False

    total = len(pictures.labels)
    results = Bar(in_threads(fails, range(total)), f"decoding {name} images", total, leave=False, unit="image")
    corrupt = np.fromiter(results, dtype=bool, count=total)
    if corrupt.any():
        first = pictures.name(int(corrupt.argmax()))
        print(f"{corrupt.sum()} of {total} {name} images can't be read and are left out, the first is {first}")
    return np.flatnonzero(~corrupt)


def _per_channel(value: float | list[float]) -> list[float]:
    return [float(value)] * 3 if isinstance(value, int | float) else [float(part) for part in value]


def _chosen(pictures: Pictures, name: str, samples: int | None, seed: int, skip_corrupt: bool) -> np.ndarray:
    """Returns the numbers of the selected images."""
    there = readable(pictures, name) if skip_corrupt else np.arange(len(pictures.labels))
    if samples is None or (pictures.few and samples > len(there)):
        return there
    if samples > len(there):
        raise BadInput(
            f"{name}_samples={samples} is not allowed: a number from 1 to {len(there)} (all {name} images) is expected"
        )
    return there[balanced_order(pictures.labels[there], seed)[:samples]]


def _central(size: int, crop: float, interpolation: v2.InterpolationMode) -> v2.Transform:
    return v2.Compose([v2.Resize(round(size / crop), interpolation), v2.CenterCrop(size)])


def _random(augment: str, size: int, interpolation: v2.InterpolationMode) -> v2.Transform:
    """Returns a random transform. crop_flip: takes a part of at least a quarter of the area; imagenet: of at least 8 %,
    as the official training script for ImageNet. shift_flip: takes the whole image and moves it by up to an eighth of
    the side, with black outside; for images so small that a part shows too little."""
    if augment in LEAST:
        cut = [v2.RandomResizedCrop(size, scale=(LEAST[augment], 1), interpolation=interpolation)]
    else:
        cut = [_central(size, 1, interpolation), v2.RandomCrop(size, padding=size // 8)]
    return v2.Compose([*cut, v2.RandomHorizontalFlip()])
