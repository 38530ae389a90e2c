"""Observes the inputs and outputs of a network's layers, while it evaluates an input once."""

from collections.abc import Callable

import torch
from torch import nn


@torch.no_grad()
def watch(model: nn.Module, inputs: torch.Tensor, note: Callable[[str, tuple, object], None]) -> None:
    """Evaluates `inputs` [B, ...] and calls `note` with the name, inputs and output of every layer that contains no
    layers.

    The model runs in evaluation mode, so that neither batch-norm nor random numbers are changed.
    """
    training = model.training
    hooks = [
        layer.register_forward_hook(lambda _, given, out, name=name: note(name, given, out))
        for name, layer in model.named_modules()
        if not list(layer.children())
    ]
    try:
        model.eval()(inputs)
    finally:
        model.train(training)
        for hook in hooks:
            hook.remove()
