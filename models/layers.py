"""What named layers of a network give for inputs, as one vector for each input.

A layer has the name that it has in the network, such as `block2` or `layer4.1`; `penultimate` is what the classifier
takes, `logits` what the whole model returns. A layer may give maps [B, C, H, W] or tokens [B, T, D]: with pool="mean"
they are averaged over their places, to [B, C] and [B, D]; with "none" every place counts: [B, C * H * W]; with "first"
the first token: [B, D].
"""

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Self

import torch
from torch import nn

from conf.errors import BadInput
from models.backbone import Probed
from models.blocks import LOGITS
from models.slot import Slot, observed

PENULTIMATE, SOURCE_LOGITS = "penultimate", "source_logits"  # the logits of a model with the head of its source task
KEY = "representations.layers"
LISTED = 20


def names_of(model: nn.Module) -> list[str]:
    """Returns the names of the layers that can be watched."""
    inside = (name for name, layer in model.backbone.named_modules() if name and not isinstance(layer, Slot))
    return [PENULTIMATE, *inside]


def check(model: nn.Module, layers: Sequence[str], pool: str, inputs: torch.Tensor, key: str = KEY) -> list[int]:
    """Returns the width D of each layer's vectors. inputs: [B, ...]; key: where the layers are set.

    Raises BadInput for a layer that the network does not have, does not reach, or that gives no tensor.
    """
    there = [*names_of(model), LOGITS]
    for layer in layers:
        if layer not in there:
            short = [name for name in there if name.count(".") < 2]
            more = f" and {len(there) - LISTED} more" if len(there) > LISTED else ""
            raise BadInput(f"{key}: the model has no layer {layer}; it has {', '.join(short[:LISTED])}{more}")
    with torch.no_grad(), Watched(model.eval(), layers, pool, key) as watched:
        return [part.shape[1] for part in watched(inputs)]


class Watched:
    """A context in which the model, called with inputs, returns what its layers give, [B, D] each."""

    def __init__(self, model: nn.Module, layers: Sequence[str], pool: str, key: str = KEY) -> None:
        self.model, self.layers, self.pool, self.key = model, layers, pool, key
        self.given: dict[str, torch.Tensor] = {}

    def __enter__(self) -> Self:
        self._hooks = ExitStack()
        for name in self.layers:
            if name not in (PENULTIMATE, LOGITS, SOURCE_LOGITS):
                hook = self.model.backbone.get_submodule(name).register_forward_hook(self._note(name))
                self._hooks.callback(hook.remove)
        return self

    def __exit__(self, *_: object) -> None:
        self._hooks.close()

    def __call__(self, inputs: torch.Tensor) -> list[torch.Tensor]:
        given = self.all(inputs)
        return [given[name] for name in self.layers]

    def all(self, inputs: torch.Tensor) -> dict[str, torch.Tensor]:
        """Returns what these layers give, the penultimate features, and the logits, by name."""
        self.given, self.inputs = {}, len(inputs)
        returned, seen, _ = observed(self.model.backbone, inputs)
        own = self.model.head(seen) if isinstance(self.model, Probed) else returned
        self.given |= {PENULTIMATE: seen, LOGITS: own, SOURCE_LOGITS: returned}
        if absent := [name for name in self.layers if name not in self.given]:
            raise BadInput(f"{self.key}: the model's forward pass does not call the layer {absent[0]}")
        return self.given

    def _note(self, name: str) -> object:
        def note(_: nn.Module, given: tuple, out: object) -> None:
            first = out[0] if isinstance(out, tuple | list) else out
            if not isinstance(first, torch.Tensor) or first.dim() < 2 or len(first) != self.inputs:
                raise BadInput(f"{self.key}: the layer {name} gives no tensor [inputs, ...]")
            self.given[name] = pooled(first, self.pool).clone()  # the network may change it in place

        return note


def pooled(out: torch.Tensor, pool: str) -> torch.Tensor:
    """Turns what a layer gives, [B, D], maps [B, C, H, W] or tokens [B, T, D], into [B, D]."""
    if pool == "first" and out.dim() == 3:
        return out[:, 0]
    if pool == "none" or out.dim() == 2:
        return out.flatten(1)
    return out.mean(1) if out.dim() == 3 else out.flatten(2).mean(2)
