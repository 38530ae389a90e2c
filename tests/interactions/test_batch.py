import torch
from torch import nn

from interactions import batch
from interactions.batch import fitting
from models.vision import conv4


def test_small_networks_have_the_largest_batch():
    assert fitting(conv4(10, width=8), torch.randn(1, 3, 32, 32)) == 512


def test_the_batch_is_as_large_as_the_memory(monkeypatch):
    """The largest layer reads 4 and writes 12 numbers, of 4 bytes each, and as much again is set aside three times."""
    network = nn.Sequential(nn.Linear(4, 12), nn.Linear(12, 1))
    for room, expected in ((256 * 512, 512), (256 * 100, 64), (256 * 64, 64), (256, 1), (10, 1)):
        monkeypatch.setattr(batch, "CPU_BYTES", room)
        assert fitting(network, torch.randn(1, 4)) == expected
