"""Which parts of an input are its variables: n cells of a grid over an image, drawn at random per image."""

import numpy as np
import torch

from conf.check import BadInput

Box = tuple[int, int, int, int]  # top, left, height, width in pixels


def draw_patches(n: int, grid: int, margin: int, height: int, width: int, seed: int, index: int) -> list[Box]:
    """n different cells of the grid, at least `margin` cells from its border; the same for one (seed, index)."""
    rows, columns = (np.linspace(0, side, grid + 1).round().astype(int) for side in (height, width))
    if grid > min(height, width):
        raise BadInput(f"interactions.grid={grid} is finer than the {height}x{width} pixels of an image")
    inner = [(row, column) for row in range(margin, grid - margin) for column in range(margin, grid - margin)]
    chosen = np.random.default_rng([seed, index]).permutation(len(inner))[:n]
    cells = [inner[cell] for cell in sorted(chosen)]
    return [
        (int(rows[r]), int(columns[c]), int(rows[r + 1] - rows[r]), int(columns[c + 1] - columns[c])) for r, c in cells
    ]


def owner_map(boxes: list[Box], height: int, width: int) -> torch.Tensor:
    """[1, H, W] int64: the variable that each pixel belongs to, -1 for the background."""
    owner = torch.full((1, height, width), -1)
    for variable, (top, left, rows, columns) in enumerate(boxes):
        owner[:, top : top + rows, left : left + columns] = variable
    return owner
