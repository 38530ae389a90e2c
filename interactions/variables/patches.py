"""Draws the variables of an image: n cells of a grid over it, at random, per image or once for all images."""

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from conf.errors import BadInput
from stages.progress import Bar

Box = tuple[int, int, int, int]  # top, left, height, width in pixels


def draw_patches(n: int, grid: int, margin: int, height: int, width: int, seed: int, index: int) -> list[Box]:
    """Draws n different cells of the grid, at least `margin` cells from its border, the same for one (seed, index)."""
    rows, columns = (np.linspace(0, side, grid + 1).round().astype(int) for side in (height, width))
    if grid > min(height, width):
        raise BadInput(f"interactions.grid={grid} is finer than the {height}x{width} pixels of an image")
    inner = [(row, column) for row in range(margin, grid - margin) for column in range(margin, grid - margin)]
    if n > len(inner):
        raise BadInput(
            f"interactions.n={n} is more than the {len(inner)} cells of interactions.grid={grid} with margin={margin}: "
            f"choose a smaller n or a finer grid"
        )
    chosen = np.random.default_rng([seed, index]).permutation(len(inner))[:n]
    cells = [inner[cell] for cell in sorted(chosen)]
    return [
        (int(rows[r]), int(columns[c]), int(rows[r + 1] - rows[r]), int(columns[c + 1] - columns[c])) for r, c in cells
    ]


def owner_map(boxes: list[Box], height: int, width: int) -> torch.Tensor:
    """Returns [1, H, W] int64: the variable that each pixel belongs to, -1 for the background."""
    owner = torch.full((1, height, width), -1)
    for variable, (top, left, rows, columns) in enumerate(boxes):
        owner[:, top : top + rows, left : left + columns] = variable
    return owner


def baseline(train: Dataset, kind: str, num_workers: int = 0) -> torch.Tensor:
    """Returns what a masked variable is replaced by, [C, H, W], in the network's own scale (pixels minus mean, over
    std).

    mean_image: each pixel's mean over the training set (footnote 1 of the paper); channel_mean: its mean over the
    pixels; zero: the network's zero, the middle of the grey scale.
    """
    total, count = 0.0, 0
    if kind == "zero":
        return torch.zeros_like(train[0][0])
    batches = DataLoader(train, 256, num_workers=num_workers)
    for inputs, _ in Bar(batches, desc="mean image", unit="batch", leave=False):
        total, count = total + inputs.double().sum(0), count + len(inputs)
    mean = total / count
    if kind == "channel_mean":
        mean = mean.mean((1, 2), keepdim=True).expand_as(mean)
    return mean.float()
