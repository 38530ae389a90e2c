"""Stores a network's maps with the channels last in memory, where this changes nothing but the time.

Convolutions are up to twice as fast with the channels last. A network does not notice it, unless it asks for views of a
map's memory: `x.view(len(x), -1)` then fails, and `x.flatten(1)` returns a copy instead of the map itself, which
matters if it is overwritten. So both formats are tried, and a network that depends on the format keeps its own.
"""

import torch
from torch import nn


@torch.no_grad()
def settled(model: nn.Module, inputs: torch.Tensor) -> torch.memory_format:
    """Brings the model into the better format and returns it. inputs: [B, ...], of the model's type and on its
    device."""
    training = {layer: layer.training for layer in model.modules()}
    try:
        expected = model.eval()(inputs.clone(memory_format=torch.contiguous_format))
        if _is_same(model, inputs, expected):
            return torch.channels_last
    finally:
        for layer, mode in training.items():
            layer.training = mode
    for parameter in model.parameters():
        parameter.data = parameter.data.contiguous()
    return torch.contiguous_format


def _is_same(model: nn.Module, inputs: torch.Tensor, expected: torch.Tensor) -> bool:
    try:
        model.to(memory_format=torch.channels_last)
        found = model(formatted(inputs.clone(), torch.channels_last))
        return torch.allclose(found, expected, rtol=1e-3, atol=1e-4 * float(expected.abs().max()), equal_nan=True)
    except Exception:  # from the model, or from its weights: those of 3D convolutions have no such format
        return False


def formatted(x: torch.Tensor, memory_format: torch.memory_format) -> torch.Tensor:
    """Brings images into the format; other inputs have none and stay as they are."""
    return x.contiguous(memory_format=memory_format) if x.dim() == 4 else x
