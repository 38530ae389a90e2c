"""The example by which the files explain themselves: every number that they give is what the code finds."""

import numpy as np
import pytest
import torch
from tiled import assert_close, brute_force
from torch import nn

from interactions.local import layout
from interactions.local.fold import folded
from interactions.local.forward import Local
from interactions.local.graph import Network
from interactions.local.tiles import Tiling, Window, seen_through, windows

KERNEL_3 = Window((1, 3), padding=(0, 1))
IMAGE = np.array([[1, 1, 1, 0, 0, 2, 2, 2]])  # 8 pixels; variable 0 has bit 1, variable 1 has bit 2
MAP_A = seen_through(KERNEL_3, IMAGE, (1, 8))
MAP_B = seen_through(KERNEL_3, MAP_A, (1, 8))


def entries_of_tiles(tiling):
    return [list(range(start, end)) for start, end in zip(tiling.first[:-1], tiling.first[1:], strict=True)]


def test_what_cells_see_and_which_entries_their_tiles_have():
    assert MAP_A.tolist() == [[1, 1, 1, 1, 2, 2, 2, 2]]
    assert MAP_B.tolist() == [[1, 1, 1, 3, 3, 2, 2, 2]]
    image, a, b = Tiling(IMAGE, 1, 2), Tiling(MAP_A, 2, 2), Tiling(MAP_B, 2, 2)
    assert entries_of_tiles(image) == [[0, 1], [2, 3], [4, 5], [6], [7], [8, 9], [10, 11], [12, 13]]
    assert entries_of_tiles(a) == [[0, 1], [2, 3], [4, 5], [6, 7]]
    assert entries_of_tiles(b) == [[0, 1], [2, 3, 4, 5], [6, 7, 8, 9], [10, 11]]
    assert image.kept[[0, 1]].tolist() == [0, 1]
    assert b.kept[[2, 3, 4, 5]].tolist() == [0, 1, 2, 3]
    assert [image.entries, 2 * a.entries, 2 * b.entries] == [14, 16, 24]  # cells


def test_what_entries_are_gathered_from():
    image, a, b = Tiling(IMAGE, 1, 2), Tiling(MAP_A, 2, 2), Tiling(MAP_B, 2, 2)
    found = windows(image, KERNEL_3, a)
    assert found.entries[[3, 0], :4].tolist() == [[3, 5, 6, 7], [14, 0, 2, 4]]
    found = windows(a, KERNEL_3, b)
    assert found.entries[3].tolist() == [1, 3, 4]
    assert found.piece[:4].tolist() == [0, 1, 1, 2]
    assert found.cell[:4].tolist() == [1, 0, 1, 0]
    assert layout._whole(b).entries[1].tolist() == [1, 3, 7, 10]  # subset {0}


def test_how_many_cells_are_computed_and_gathered_by_the_side_of_a_tile():
    tilings = [Tiling(MAP_B, t, 2) for t in (1, 2, 4, 8)]
    assert [tiling.entries for tiling in tilings] == [20, 12, 8, 4]
    assert [tiling.entries * tiling.t for tiling in tilings] == [20, 24, 32, 32]
    assert [tiling.entries * len(KERNEL_3.cells(1, tiling.t)) for tiling in tilings] == [60, 48, 48, 40]


@pytest.mark.parametrize(("window", "cells"), [
    (KERNEL_3, [-1, 0, 1, 2]),
    (Window((1, 3), padding=(0, 1), stride=2), [-1, 0, 1, 2, 3]),
    (Window((1, 3), padding=(0, 2), dilation=(1, 2)), [-2, -1, 0, 1, 2, 3]),
    (Window((1, 2), stride=2), [0, 1, 2, 3]),
    (Window((1, 1), stride=2), [0, 2]),
])  # fmt: skip
def test_the_cells_under_two_outputs(window, cells):
    assert window.cells(1, 2).tolist() == cells


def test_the_network_gives_what_forward_passes_give(all_local):
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 4, (1, 3), padding=(0, 1)), nn.ReLU(), nn.Conv2d(4, 4, (1, 3), padding=(0, 1)),
        nn.Flatten(), nn.Linear(32, 2),
    ).eval()  # fmt: skip
    image, baseline, owner = torch.randn(3, 1, 8), torch.randn(3, 1, 8), torch.tensor([[[0, 0, 0, -1, -1, 1, 1, 1]]])
    local = Local(model, (3, 1, 8))
    plan = local.plan(owner, 2)
    assert plan.layout.image.entries == 14
    assert len(plan.layers) == 2
    found = local.logits(plan, image, baseline)
    assert_close(found, brute_force(model, image, baseline, owner, 2))


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.norm, self.b = nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3), nn.Conv2d(3, 3, 3, padding=1)
        self.pool, self.head = nn.MaxPool2d(2), nn.Linear(48, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = torch.relu(self.norm(self.a(x)))
        z = self.pool(self.b(y) + x)
        return self.head(z.flatten(1))


def test_the_layers_of_a_block():
    network = Network(Block().eval(), (3, 8, 8))
    operations = [node.name for node in network.graph.nodes if node.op not in ("placeholder", "output")]
    assert operations == ["a", "norm", "relu", "b", "add", "pool", "flatten", "head"]
    found = [
        (
            [node.name for node in layer.nodes],
            layer.source.name,
            layer.window.kernel,
            [*map(str, layer.added)],
            layer.size,
        )
        for layer in network.layers
    ]
    assert found == [
        (["a", "norm", "relu"], "x", (3, 3), [], (8, 8)),
        (["b", "add"], "relu", (3, 3), ["x"], (8, 8)),
        (["pool"], "add", (2, 2), [], (4, 4)),
    ]
    assert network.stop == ("flatten", "its result is not a feature map")
    assert [{node.name for node in nodes} for nodes in network.read_after[1:3]] == [{"relu", "x"}, {"add"}]


@torch.no_grad()
def test_a_norm_is_folded_into_the_convolution_before_it():
    model = nn.Sequential(nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1, eps=0), nn.Flatten(), nn.Linear(4, 2)).eval()
    convolution, norm = model[0], model[1]
    given = {convolution.weight: 3, convolution.bias: 1, norm.running_mean: 4, norm.running_var: 0.25}
    for tensor, number in (given | {norm.weight: 2, norm.bias: 7}).items():
        tensor.fill_(number)
    assert [norm(torch.full((1, 1, 1, 1), x)).item() for x in (0.0, 1.0)] == [-9, -5]
    network = Network(model, (1, 2, 2))
    found = folded(model, network.layers[0], {})
    assert (found.weight.item(), found.bias.item(), found.count) == (12, -5, 1)
