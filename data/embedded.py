"""Tasks that come with the program: rendered characters (source) and real handwritten digits (target).

Printed digits have the same ten classes as the handwritten ones: another domain, for which a head can be kept.
"""

import string
from functools import cache
from pathlib import Path
from typing import Annotated

import matplotlib
import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from sklearn.datasets import load_digits
from torch.nn import functional as F
from torch.utils.data import Dataset

from conf.allowed import Number
from conf.errors import BadInput
from data.arguments import Samples, Seed, Side
from data.splits import InMemory, Splits, balanced_order

CHARACTERS = string.digits + string.ascii_uppercase + string.ascii_lowercase
FACES = (
    "DejaVuSans",
    "DejaVuSans-Bold",
    "DejaVuSans-Oblique",
    "DejaVuSansMono",
    "DejaVuSerif",
    "DejaVuSerif-Bold",
    "DejaVuSerif-Italic",
    "STIXGeneral",
    "STIXGeneralBol",
    "STIXGeneralItalic",
)
ALL = 1797  # the number of the handwritten digits
DRAWN, SKIPPED = Number(1, ALL), Number(0, ALL)
CANVAS = 64  # pixels; glyphs are drawn once at this size and transformed from it


def glyphs(
    train_samples: Samples, test_samples: Samples, image_size: Annotated[int, Number(8, 10_000)], seed: Seed
) -> Splits:
    """Returns the source task: which of 62 characters is it? Every epoch has `train_samples` new ones."""
    train = Glyphs(train_samples, image_size, seed, stream=0)
    test = Glyphs(test_samples, image_size, seed, stream=1)
    return Splits(train, test, tuple(CHARACTERS))


def fixed_glyphs(
    train_samples: Samples, test_samples: Samples, image_size: Annotated[int, Number(8, 10_000)], seed: Seed
) -> Splits:
    """Returns the task of `glyphs` with the same `train_samples` images in every epoch, those of its first one.

    Few of them are learned by heart, which an endless stream can't be. They are drawn once and stay in memory.
    """
    return _fixed(CHARACTERS, (train_samples, test_samples), image_size, seed)


def printed_digits(
    train_samples: Samples,
    test_samples: Samples,
    image_size: Annotated[int, Number(8, 10_000)],
    seed: Seed,
    skip: Annotated[int, SKIPPED] = 0,
) -> Splits:
    """Returns the task of `fixed_glyphs` with the characters 0 to 9 alone, so in place of `digits`. skip: images of
    both streams that come before those that are taken."""
    return _fixed(string.digits, (train_samples, test_samples), image_size, seed, skip)


def _fixed(characters: str, samples: tuple[int, int], image_size: int, seed: int, skip: int = 0) -> Splits:
    parts = (_drawn(characters, skip, count, image_size, seed, stream) for stream, count in enumerate(samples))
    return Splits(*(InMemory(*part) for part in parts), tuple(characters))


class Glyphs(Dataset):
    """An unlimited stream of rendered characters; item i of epoch e is the same in every run with this seed."""

    def __init__(self, samples: int, image_size: int, seed: int, stream: int, characters: str = CHARACTERS) -> None:
        self.samples, self.image_size, self.seed, self.stream = samples, image_size, seed, stream
        self.labels, self.characters = np.arange(samples) % len(characters), characters
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return self.samples

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        draw = np.random.default_rng([self.seed, self.stream, self.epoch, index])
        label = int(self.labels[index])
        image = _warped(_glyph(FACES[draw.integers(len(FACES))], self.characters[label]), draw)
        # The target's digits were digitised at 8x8 pixels: some glyphs are as coarse, others sharp.
        coarse = int(draw.integers(8, self.image_size + 1))
        image = image.resize((coarse, coarse), Image.Resampling.BOX)
        image = image.resize((self.image_size, self.image_size), Image.Resampling.BILINEAR)
        pixels = np.asarray(image, dtype=np.float32) / 255 * draw.uniform(0.7, 1)
        pixels += draw.normal(0, draw.uniform(0, 0.1), pixels.shape).astype(np.float32)
        return _network_input(torch.from_numpy(pixels)[None]), label


@cache
def _drawn(
    characters: str, skip: int, samples: int, image_size: int, seed: int, stream: int
) -> tuple[torch.Tensor, np.ndarray]:
    """Returns the images [samples, 3, image_size, image_size] of the first epoch, and their labels."""
    glyphs = Glyphs(skip + samples, image_size, seed, stream, characters)
    grey = torch.stack([glyphs[index][0][:1] for index in range(skip, skip + samples)])
    return grey.expand(-1, 3, -1, -1), glyphs.labels[skip:]  # the three channels share the memory of one


@cache
def _glyph(face: str, character: str) -> Image.Image:
    """Draws a character in white on black, whole and centred on a CANVAS x CANVAS image."""
    path = Path(matplotlib.get_data_path(), "fonts", "ttf", f"{face}.ttf")
    font = ImageFont.truetype(str(path), size=CANVAS * 3 // 4)
    image = Image.new("L", (CANVAS, CANVAS))
    ImageDraw.Draw(image).text((CANVAS / 2, CANVAS / 2), character, fill=255, font=font, anchor="mm")
    return image


def _warped(image: Image.Image, draw: np.random.Generator) -> Image.Image:
    """Applies a random affine map about the centre: rotation, shear, scale and shift."""
    angle, shear = draw.uniform(-0.3, 0.3), draw.uniform(-0.3, 0.3)
    scale = draw.uniform(1.05, 1.65, size=2)
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    linear = rotation @ np.array([[1, shear], [0, 1]]) / scale
    centre = np.array([CANVAS / 2, CANVAS / 2])
    shift = centre - linear @ (centre + draw.uniform(-0.08, 0.08, size=2) * CANVAS)
    matrix = (*linear[0], shift[0], *linear[1], shift[1])
    return image.transform((CANVAS, CANVAS), Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR)


def digits(
    train_samples: Annotated[int, DRAWN],
    test_samples: Annotated[int, DRAWN],
    image_size: Side,
    seed: Seed,
    skip: Annotated[int, SKIPPED] = 0,
) -> Splits:
    """Returns the target task: scikit-learn's handwritten digits.

    The training images are a class-balanced draw, the test images are others. skip: images of the draw that come
    before these, for another task: source.train_samples of them make that one's training images others, too.
    """
    images, labels = load_digits(return_X_y=True)
    if skip + train_samples + test_samples > len(labels):
        before = f", after skip={skip}," * (skip > 0)
        raise BadInput(
            f"train_samples={train_samples} and test_samples={test_samples}{before} are more than "
            f"the {len(labels)} available images"
        )
    pixels = torch.from_numpy(images).float().view(-1, 1, 8, 8) / 16
    pixels = F.interpolate(pixels, size=(image_size, image_size), mode="bilinear", align_corners=False)
    order = balanced_order(labels, seed)[skip:]
    train, test = order[:train_samples], order[train_samples : train_samples + test_samples]
    inputs = _network_input(pixels)
    return Splits(InMemory(inputs[train], labels[train]), InMemory(inputs[test], labels[test]), tuple(string.digits))


def _network_input(pixels: torch.Tensor) -> torch.Tensor:
    """Converts grey values [..., 1, H, W] in 0..1 to [..., 3, H, W], (pixels - 0.5) / 0.5."""
    return ((pixels - 0.5) / 0.5).expand(*pixels.shape[:-3], 3, *pixels.shape[-2:])
