"""Decides how many inputs go through a network at once, where that does not influence training."""

import torch
from torch import nn

from models.watch import watch

LARGEST = 512
LARGEST_ELSEWHERE = 2048
SMALLEST = 4
CPU_BYTES = 24 * 2**20  # what a layer reads and writes: within the caches it is up to four times as fast
LOADED = 256  # the most inputs from a loader: whole batches wait in memory, and sentences may be longer than the first
SHARE = 0.25  # of an accelerator's memory that the activations of one forward pass may take


def fitting(model: nn.Module, inputs: torch.Tensor, where: torch.device) -> int:
    """Returns a power of two: on a CPU as many inputs as stay in its caches, on an accelerator about as many as fit its
    memory.

    inputs: [1, ...], where the model is now; where: the device that they will run on. The size depends on nothing else,
    such as other programs on the device, so that a run repeats bit for bit on a machine of the same kind, with as many
    threads and the same libraries.
    """
    sizes = []
    watch(model, inputs, lambda _, given, out: sizes.append(_bytes(given) + _bytes(out)))
    each = max([1, *sizes])
    if where.type == "cpu":
        return min(LARGEST, max(SMALLEST, _power_of_two(CPU_BYTES / each)))
    # What a layer reads and writes, and more for its workspace and for what waits for a residual sum.
    return min(LARGEST_ELSEWHERE, _power_of_two(_room(where) / (4 * each)))


def loaded(model: nn.Module, inputs: torch.Tensor, where: torch.device) -> int:
    """Returns the same for batches from a data loader, which are never halved."""
    return min(LOADED, fitting(model, inputs, where))


def _power_of_two(most: float) -> int:
    """Returns the largest power of two that is not above `most`, at least 1."""
    return 1 << max(int(most), 1).bit_length() - 1


def _bytes(node: object) -> int:
    if isinstance(node, torch.Tensor):
        return node.numel() * node.element_size()
    return sum(map(_bytes, node)) if isinstance(node, tuple | list) else 0


def _room(where: torch.device) -> float:
    if where.type == "cuda":
        return SHARE * torch.cuda.get_device_properties(where).total_memory
    return 2**31
