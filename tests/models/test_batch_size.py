import pytest
import torch
from torch import nn

from models import batch_size
from models.batch_size import fitting
from models.vision import conv4

CPU, ELSEWHERE = torch.device("cpu"), torch.device("mps")
NETWORK = nn.Sequential(nn.Linear(4, 12), nn.Linear(12, 1))  # the larger layer reads 4 and writes 12 numbers: 64 bytes


def test_small_networks_have_the_largest_batch():
    model, inputs = conv4(10, width=8), torch.randn(1, 3, 32, 32)
    assert fitting(model, inputs, CPU) == 256
    assert fitting(model, inputs, ELSEWHERE) == 2048
    assert fitting(NETWORK, torch.randn(1, 4), CPU) == 512


@pytest.mark.parametrize(("caches", "expected"), [(64 * 300, 256), (64 * 256, 256), (64 * 255, 128), (64, 4), (1, 4)])
def test_on_a_cpu_a_batch_stays_in_the_caches(monkeypatch, caches, expected):
    monkeypatch.setattr(batch_size, "CPU_BYTES", caches)
    assert fitting(NETWORK, torch.randn(1, 4), CPU) == expected


@pytest.mark.parametrize(("room", "expected"), [(256 * 100, 64), (256 * 64, 64), (256, 1), (10, 1)])
def test_elsewhere_it_is_as_large_as_the_memory(monkeypatch, room, expected):
    """As much as the layer reads and writes is set aside three times more."""
    monkeypatch.setattr(batch_size, "_room", lambda _: room)
    assert fitting(NETWORK, torch.randn(1, 4), ELSEWHERE) == expected


def test_what_is_loaded_is_no_more_than_what_can_wait_in_memory():
    assert batch_size.loaded(NETWORK, torch.randn(1, 4), ELSEWHERE) == batch_size.LOADED < 2048
    assert batch_size.loaded(conv4(10), torch.randn(1, 3, 32, 32), CPU) == 32


def test_the_model_is_as_before():
    model = conv4(10, width=8).train()
    before, mean = torch.get_rng_state(), model.state_dict()
    kept = {name: value.clone() for name, value in mean.items()}
    fitting(model, torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(0)), CPU)
    assert model.training
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(value, kept[name]) for name, value in model.state_dict().items())
