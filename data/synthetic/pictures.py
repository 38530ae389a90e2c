"""Draws the images of synthetic data sets."""

import colorsys

import numpy as np
from PIL import Image, ImageDraw


def picture(draw: np.random.Generator, label: int, classes: int, size: tuple[int, int]) -> Image.Image:
    """Draws a shape in the colour of its class, at a random place on grey noise. size: width, height in pixels."""
    width, height = size
    noise = draw.integers(60, 160, size=(height, width, 1), dtype=np.uint8).repeat(3, axis=2)
    image = Image.fromarray(noise)
    colour = tuple(round(255 * part) for part in colorsys.hsv_to_rgb(label / classes, 0.8, 0.9))
    left, top = draw.uniform(0.1, 0.4, size=2) * size
    right, bottom = draw.uniform(0.6, 0.9, size=2) * size
    pen = ImageDraw.Draw(image)
    (pen.ellipse if label % 2 else pen.rectangle)((left, top, right, bottom), fill=colour)
    return image


def pictures(stream: int, classes: int, per_class: int, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Draws `per_class` images of each class in a random order: uint8 [N, side, side, 3], labels [N]."""
    draw = np.random.default_rng([0, stream])
    labels = draw.permutation(np.repeat(np.arange(classes), per_class))
    return np.stack([np.asarray(picture(draw, label, classes, (side, side))) for label in labels]), labels
