"""Tasks that come with the program: rendered characters (source) and real handwritten digits (target)."""

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
DRAWN = Number(1, 1797)  # the number of the handwritten digits
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
    parts = ((train_samples, 0), (test_samples, 1))
    return Splits(
        *(InMemory(*_drawn(samples, image_size, seed, stream)) for samples, stream in parts), tuple(CHARACTERS)
    )


class Glyphs(Dataset):
    """An unlimited stream of rendered characters; item i of epoch e is the same in every run with this seed."""

    def __init__(self, samples: int, image_size: int, seed: int, stream: int) -> None:
        self.samples, self.image_size, self.seed, self.stream = samples, image_size, seed, stream
        self.labels = np.arange(samples) % len(CHARACTERS)
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return self.samples

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        draw = np.random.default_rng([self.seed, self.stream, self.epoch, index])
        label = int(self.labels[index])
        image = _warped(_glyph(FACES[draw.integers(len(FACES))], CHARACTERS[label]), draw)
        # The target's digits were digitised at 8x8 pixels: some glyphs are as coarse, others sharp.
        coarse = int(draw.integers(8, self.image_size + 1))
        image = image.resize((coarse, coarse), Image.Resampling.BOX)
        image = image.resize((self.image_size, self.image_size), Image.Resampling.BILINEAR)
        pixels = np.asarray(image, dtype=np.float32) / 255 * draw.uniform(0.7, 1)
        pixels += draw.normal(0, draw.uniform(0, 0.1), pixels.shape).astype(np.float32)
        return _network_input(torch.from_numpy(pixels)[None]), label


@cache
def _drawn(samples: int, image_size: int, seed: int, stream: int) -> tuple[torch.Tensor, np.ndarray]:
    """Returns the images [samples, 3, image_size, image_size] of the first epoch, and their labels."""
    glyphs = Glyphs(samples, image_size, seed, stream)
    grey = torch.stack([glyphs[index][0][:1] for index in range(samples)])
    return grey.expand(-1, 3, -1, -1), glyphs.labels  # the three channels share the memory of one


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
    train_samples: Annotated[int, DRAWN], test_samples: Annotated[int, DRAWN], image_size: Side, seed: Seed
) -> Splits:
    """Returns the target task: scikit-learn's handwritten digits.

    The training images are a class-balanced draw, the test images are others.
    """
    images, labels = load_digits(return_X_y=True)
    if train_samples + test_samples > len(labels):
        raise BadInput(
            f"train_samples={train_samples} and test_samples={test_samples} are more than "
            f"the {len(labels)} available images"
        )
    pixels = torch.from_numpy(images).float().view(-1, 1, 8, 8) / 16
    pixels = F.interpolate(pixels, size=(image_size, image_size), mode="bilinear", align_corners=False)
    order = balanced_order(labels, seed)
    train, test = order[:train_samples], order[train_samples : train_samples + test_samples]
    inputs = _network_input(pixels)
    return Splits(InMemory(inputs[train], labels[train]), InMemory(inputs[test], labels[test]), tuple(string.digits))


def _network_input(pixels: torch.Tensor) -> torch.Tensor:
    """Converts grey values [..., 1, H, W] in 0..1 to [..., 3, H, W], (pixels - 0.5) / 0.5."""
    return ((pixels - 0.5) / 0.5).expand(*pixels.shape[:-3], 3, *pixels.shape[-2:])
