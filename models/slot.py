"""Replaces the classifier in a network by a slot that can record its input: the penultimate features."""

import torch
from torch import nn

from conf.errors import BadInput

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)


class Slot(nn.Module):
    """Takes the place of a head in the network; the head itself belongs to the classifier."""

    def __init__(self, head: nn.Module) -> None:
        super().__init__()
        self._head = (head,)  # in a tuple, so that its weights do not belong to the backbone
        self.watched, self.dimensions = False, 2
        self.given, self.made, self.asked = None, None, False

    def watch(self, watched: bool) -> None:
        self.watched, self.given, self.made, self.asked = watched, None, None, False

    def forward(self, *args: object, **kwargs: object) -> torch.Tensor:
        if not self.watched:
            return self._head[0](*args, **kwargs)
        x = args[0] if args else next(iter(kwargs.values()))
        self.given = x
        if isinstance(x, torch.Tensor):  # in a trace it is a proxy, which has no values
            self.given, self.dimensions = x.clone(), x.dim()  # the network may change it in place
        self.made = self._head[0](*args, **kwargs)
        return self.made

    def vector(self) -> torch.Tensor:
        """Returns the recorded input of the head, averaged over all axes but samples and channels: [B, D]."""
        head, last = self._head[0], self.dimensions - 1
        first = isinstance(head, CONVOLUTIONS) or (last == 3 and not isinstance(head, nn.Linear))
        over = tuple(axis for axis in range(1, last + 1) if axis != (1 if first else last))
        return self.given.mean(over) if over else self.given

    def __getattr__(self, name: str) -> object:
        """Passes on the attributes of the head: networks ask it for its sizes, or its weights."""
        try:
            return super().__getattr__(name)
        except AttributeError:
            found = getattr(super().__getattribute__("_head")[0], name)
            self.asked |= isinstance(found, torch.Tensor)
            return found


def features(backbone: nn.Module, inputs: torch.Tensor) -> torch.Tensor:
    """Returns the features [B, D] of the heads that a forward pass reaches."""
    return observed(backbone, inputs)[1]


def observed(backbone: nn.Module, inputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, dict[str, torch.Tensor]]:
    """Returns the result of a forward pass, the features, and the output of each head by its name.

    Raises BadInput if the pass calls no head, or uses the weights of one without calling it.
    """
    slots = {name: layer for name, layer in backbone.named_modules() if isinstance(layer, Slot)}
    for slot in slots.values():
        slot.watch(True)
    try:
        returned = backbone(inputs)
        reached = {name: slot for name, slot in slots.items() if slot.given is not None}
        for name, slot in slots.items():
            if slot.asked and name not in reached:
                raise BadInput(
                    f"the model's forward pass uses the weights of its classifier {name} without calling it: give what "
                    f"is done with them a module of its own, with weights and forward pass, and name it, model.head=..."
                )
        if not reached:
            raise BadInput(
                "the model's forward pass does not call its classifier: name the layer that it calls, model.head=..."
            )
        given = [slot.vector() for slot in reached.values()]
        made = {name: slot.made for name, slot in reached.items()}
    finally:
        for slot in slots.values():
            slot.watch(False)
    return returned, given[0] if len(given) == 1 else torch.cat(given, dim=-1), made
