"""What goes through the layers of a network, while it evaluates an input once."""

from collections.abc import Callable

import torch
from torch import nn


@torch.no_grad()
def watch(model: nn.Module, inputs: torch.Tensor, note: Callable[[str, tuple, object], None]) -> None:
    """Evaluates `inputs` [B, ...], telling `note` the name, inputs and output of every layer without layers inside.

    In evaluation mode, so that neither batch-norm nor random numbers are touched.
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
