"""Defines what a reader of image files returns: all labels at once, and each image on request."""

import os
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageOps

from conf.errors import BadInput


class Pictures(ABC):
    """One split of a data set. labels: int array [N]; few: whether it is a synthetic one, of which a draw of more than
    there are takes all; `name` identifies an image in messages, by its path or similarly."""

    labels: np.ndarray
    few: bool = False

    @abstractmethod
    def open(self, index: int) -> Image.Image:
        """Returns the image upright and in RGB, of any size; raises what the decoder raises."""

    @abstractmethod
    def name(self, index: int) -> str: ...


@dataclass(frozen=True)
class Raw:
    """A data set as it is on disk, before samples, size or scale are chosen."""

    train: Pictures
    test: Pictures
    classes: tuple[str, ...]


class Files(Pictures):
    """Pictures with one image file per sample."""

    def __init__(self, paths: Sequence[str | Path], labels: Sequence[int]) -> None:
        self.paths, self.labels = [str(path) for path in paths], np.asarray(labels, dtype=np.int64)

    def open(self, index: int) -> Image.Image:
        return upright(self.paths[index])

    def name(self, index: int) -> str:
        return self.paths[index]


class Arrays(Pictures):
    """Pictures with all pixels in memory: uint8 [N, H, W] or [N, H, W, 3]. `title` names the split: "CIFAR-10,
    train"."""

    def __init__(self, pixels: np.ndarray, labels: Sequence[int], title: str, few: bool = False) -> None:
        self.pixels, self.labels, self.title, self.few = pixels, np.asarray(labels, dtype=np.int64), title, few

    def open(self, index: int) -> Image.Image:
        return rgb(Image.fromarray(self.pixels[index]))

    def name(self, index: int) -> str:
        return f"{self.title} image {index}"


def upright(file: str | BinaryIO) -> Image.Image:
    """Returns the (first) image of an encoded file in RGB, turned as its EXIF says: cameras store images unturned."""
    with Image.open(file) as image:
        image.load()
        with suppress(Exception):  # EXIF that can't be read raises many kinds of errors: the image stays as it is
            ImageOps.exif_transpose(image, in_place=True)
        return rgb(image)


def rgb(image: Image.Image) -> Image.Image:
    """Decodes an image and converts it to RGB from grey, palette or CMYK."""
    if image.mode.startswith("I;16"):  # Pillow would cut 16-bit grey off at 255 instead of scaling it
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    return image.convert("RGB")


def check_there(paths: Sequence[str | Path], what: str) -> None:
    """Raises BadInput if files that `what` lists are not on disk. It reads every folder once and opens no file."""
    folders: dict[str, set[str]] = {}
    missing = []
    for path in map(str, paths):
        folder, file = os.path.split(path)
        if folder not in folders:
            folders[folder] = set(os.listdir(folder)) if os.path.isdir(folder) else set()
        if file not in folders[folder]:
            missing.append(path)
    if missing:
        raise BadInput(
            f"{what}: {len(missing)} of the {len(paths)} images are missing, the first is {missing[0]}: "
            "unpack the archive again"
        )
