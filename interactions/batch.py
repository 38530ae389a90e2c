"""How many masked inputs go through a network at once."""

import torch
from torch import nn

from interactions.watch import watch

LARGEST = {"cpu": 512}
LARGEST_ELSEWHERE = 2048
CPU_BYTES = 2**31
SHARE = 0.25  # of an accelerator's memory that the activations of one forward pass may take


def fitting(model: nn.Module, inputs: torch.Tensor) -> int:
    """The largest power of two, up to LARGEST, whose activations fit the device's memory by an estimate.

    inputs: [1, ...]. It depends on model and device alone, not on what else runs there, so that a run repeats bit for
    bit; what was estimated too high is mended while evaluating, by halving.
    """
    sizes = []
    watch(model, inputs, lambda _, given, out: sizes.append(_bytes(given) + _bytes(out)))
    # What a layer reads and writes, and as much again for its workspace and what waits for a residual sum.
    each = max(4 * max(sizes, default=1), 1)
    count, room = LARGEST.get(inputs.device.type, LARGEST_ELSEWHERE), _room(inputs.device)
    while count > 1 and count * each > room:
        count //= 2
    return count


def _bytes(node: object) -> int:
    if isinstance(node, torch.Tensor):
        return node.numel() * node.element_size()
    return sum(map(_bytes, node)) if isinstance(node, tuple | list) else 0


def _room(where: torch.device) -> float:
    if where.type == "cuda":
        return SHARE * torch.cuda.get_device_properties(where).total_memory
    return CPU_BYTES
