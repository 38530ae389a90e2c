import numpy as np
import pytest
import torch

from conf.errors import BadInput
from data.splits import InMemory
from interactions.variables.patches import baseline, draw_patches, owner_map


@pytest.mark.parametrize(("grid", "side"), [(4, 32), (7, 32), (5, 16), (3, 8), (8, 8)])
def test_all_cells_together_cover_the_image_once(grid, side):
    boxes = draw_patches(grid**2, grid, 0, side, side, seed=0, index=0)
    covered = np.zeros((side, side), dtype=int)
    for top, left, height, width in boxes:
        covered[top : top + height, left : left + width] += 1
    assert (covered == 1).all()
    sizes = [size for box in boxes for size in box[2:]]
    assert max(sizes) - min(sizes) <= 1
    assert min(sizes) >= 1


def test_a_grid_that_is_finer_than_the_image_is_refused():
    with pytest.raises(BadInput, match=r"interactions\.grid=9"):
        draw_patches(3, 9, 0, 8, 32, seed=0, index=0)


@pytest.mark.parametrize(("n", "margin", "cells"), [(17, 0, 16), (5, 1, 4), (1, 2, 0), (1, 3, 0)])
def test_more_variables_than_cells_are_refused(n, margin, cells):
    with pytest.raises(BadInput, match=rf"interactions\.n={n} is more than the {cells} cells of interactions\.grid=4"):
        draw_patches(n, 4, margin, 32, 32, seed=0, index=0)


@pytest.mark.parametrize("grid", [4, 6, 7])
def test_patches_are_different_cells_inside_the_margin(grid):
    edges = np.linspace(0, 32, grid + 1).round()
    for index in range(30):
        boxes = draw_patches(4, grid, 1, 32, 32, seed=1, index=index)
        assert len(set(boxes)) == 4
        for top, left, height, width in boxes:
            for first, size in ((top, height), (left, width)):
                assert {first, first + size} <= set(edges)
                assert edges[1] <= first
                assert first + size <= edges[-2]
        assert (owner_map(boxes, 32, 32) >= 0).sum() == sum(height * width for *_, height, width in boxes)  # disjoint


def test_images_need_not_be_square():
    boxes = draw_patches(16, 4, 0, 8, 32, seed=0, index=0)
    assert {box[2:] for box in boxes} == {(2, 8)}
    assert (owner_map(boxes, 8, 32) >= 0).all()


def test_the_draw_depends_on_seed_and_index_only():
    def draws(seed, indices):
        return {index: draw_patches(5, 4, 0, 32, 32, seed, index) for index in indices}

    forward, backward = draws(3, range(20)), draws(3, reversed(range(20)))
    assert forward == backward
    assert len({tuple(boxes) for boxes in forward.values()}) > 15
    assert draws(4, range(20)) != forward


def test_every_cell_is_drawn_equally_often():
    corners = [box[:2] for index in range(2000) for box in draw_patches(4, 4, 0, 4, 4, seed=0, index=index)]
    counts = np.unique(corners, axis=0, return_counts=True)[1]
    assert len(counts) == 16
    assert abs(counts - 500).max() < 5 * np.sqrt(2000 * 0.25 * 0.75)


def test_the_owner_map_names_the_variable_of_each_pixel():
    owner = owner_map([(0, 0, 1, 2), (1, 1, 2, 1)], 3, 3)
    assert owner.tolist() == [[[0, 0, -1], [-1, 1, -1], [-1, 1, -1]]]


def test_baselines():
    torch.manual_seed(0)
    images = torch.randn(300, 3, 4, 5) + torch.arange(3.0)[:, None, None]  # more than one batch of 256
    train = InMemory(images, np.zeros(300, dtype=int))
    mean = baseline(train, "mean_image")
    torch.testing.assert_close(mean, images.double().mean(0).float())
    channel = baseline(train, "channel_mean")
    torch.testing.assert_close(channel, mean.mean((1, 2), keepdim=True).expand(3, 4, 5))
    assert torch.equal(baseline(train, "zero"), torch.zeros(3, 4, 5))
    assert mean.dtype == channel.dtype == torch.float32
