"""The work of a network is counted before it is done."""

import torch
from torch import nn

from models.lean.worth import is_long, multiply_adds, pays

TOKENS, WIDTH = 10, 16


def test_multiply_adds_are_those_of_all_products():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, WIDTH, 2), nn.Flatten(2), nn.Linear(9, 5)).eval()
    assert multiply_adds(model, torch.zeros(1, 3, 4, 4)) == 9 * WIDTH * 3 * 4 + WIDTH * 9 * 5


def test_attention_is_counted_that_torch_computes_in_one_kernel():
    block = nn.TransformerEncoderLayer(WIDTH, 2, 4 * WIDTH, batch_first=True).eval()
    before = torch.backends.mha.get_fastpath_enabled()
    linear, attention = (4 + 8) * TOKENS * WIDTH**2, 2 * TOKENS**2 * WIDTH
    assert multiply_adds(block, torch.zeros(1, TOKENS, WIDTH)) == linear + attention
    assert torch.backends.mha.get_fastpath_enabled() == before


def test_lstms_are_counted_that_torch_computes_in_one_kernel():
    model, enabled = nn.LSTM(6, 7, 2, batch_first=True).eval(), torch.backends.mkldnn.enabled
    assert multiply_adds(model, torch.zeros(3, 4, 6)) == 3 * 4 * (6 * 28 + 3 * 7 * 28)
    assert torch.backends.mkldnn.enabled == enabled


def test_long_work_pays():
    model = nn.Linear(1000, 1000)
    assert not pays(model, torch.zeros(1, 1000), 1000)
    assert pays(model, torch.zeros(1, 1000), 1e9)
    assert not is_long(60)
    assert is_long(60.1)
    assert not is_long(60.1, making=4)
