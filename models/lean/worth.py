"""Predicts whether a lean forward pass saves more time than it takes to make it."""

from collections.abc import Callable

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count

# Multiply-adds per second: of a thread of a CPU, and of an accelerator. What is decided must not depend on how busy the
# machine is, so these are not measured.
OF_A_THREAD, OF_AN_ACCELERATOR = 30e9, 10e12
SECONDS = 3.0  # to make a lean forward pass: 1 to 8, of a small convolutional network and of ViT-B
TIMES = 20  # so many times as long the work has to be: then making it costs 5 % of it at most

aten = torch.ops.aten


def pays(model: nn.Module, inputs: torch.Tensor, count: float) -> bool:
    """Returns whether `count` forward passes are long enough for a lean one.

    inputs: [1, ...]; the model is in evaluation mode and on their device.
    """
    return is_long(predicted(model, inputs, count))


def is_long(seconds: float, making: float = SECONDS) -> bool:
    """Returns whether work of these seconds is long enough for something that takes `making` seconds to make."""
    return seconds > TIMES * making


def predicted(model: nn.Module, inputs: torch.Tensor, count: float) -> float:
    """Returns the seconds that `count` forward passes take, from their multiply-adds. inputs: as in `pays`."""
    rate = OF_A_THREAD * torch.get_num_threads() if inputs.device.type == "cpu" else OF_AN_ACCELERATOR
    return multiply_adds(model, inputs) * count / rate


@torch.no_grad()
def multiply_adds(run: Callable, *args: object) -> float:
    """Returns the multiply-adds of run(*args): those of convolutions, linear layers, attention and other products."""
    before = torch.backends.mha.get_fastpath_enabled(), torch.backends.mkldnn.enabled
    torch.backends.mha.set_fastpath_enabled(False)  # the kernel of nn.MultiheadAttention is not counted
    torch.backends.mkldnn.enabled = False  # nor that of nn.LSTM; mkldnn.flags would warn of TF32 for Intel's GPUs
    try:
        with FlopCounterMode(display=False, custom_mapping=UNCOUNTED) as counter:
            run(*args)
    finally:
        torch.backends.mha.set_fastpath_enabled(before[0])
        torch.backends.mkldnn.enabled = before[1]
    return counter.get_total_flops() / 2


def _of_attention(q: torch.Size, k: torch.Size, v: torch.Size, *_: object, **__: object) -> int:
    return sdpa_flop_count(q, k, v)


UNCOUNTED = {aten._scaled_dot_product_flash_attention_for_cpu: _of_attention}  # which the counter does not know
