"""Evaluates a frozen network on a whole set of inputs: by itself, or by a lean forward pass where that takes less time.

A lean forward pass (models/lean) is made for batches of one shape. Images come in one shape, but for the last batch;
sentences come in as many as they have lengths. When a shape comes for the second time, its share of the inputs so far
says how many are still to come, and their multiply-adds whether a lean forward pass is worth making. Only the first few
shapes are asked about. All other batches take the network's own way.

Which way a batch takes depends on the inputs and the network alone, so that features that are computed again are the
same to the last bit.
"""

from collections import Counter
from typing import NamedTuple

import torch
from torch import nn

from conf.first_line import first_line
from models.layers import Watched
from models.lean.captured import captured
from models.lean.forward import Lean, check
from models.lean.worth import pays

SHAPES = 4  # that are asked about, at most: the most frequent ones tend to come twice first
Shape = tuple[torch.Size, torch.dtype]


class Layers(nn.Module):
    """Returns what a network's layers give one after the other, [B, sum of D]: capturing takes modules with one
    result."""

    def __init__(self, watched: Watched) -> None:
        super().__init__()
        self.model, self.watched = watched.model, watched

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return torch.cat(list(self.watched.all(inputs).values()), 1)


class Way(NamedTuple):
    """A lean forward pass, and the width of each layer in its result."""

    lean: Lean
    widths: dict[str, int]


class Evaluated:
    """Calls a watched network, which is in evaluation mode, with `count` inputs in batches."""

    def __init__(self, watched: Watched, count: int) -> None:
        self.watched, self.count = watched, count
        self.met: Counter[Shape] = Counter()
        self.ways: dict[Shape, Way | None] = {}
        self.lean, self.why = 0, ""

    def __call__(self, inputs: torch.Tensor) -> list[torch.Tensor]:
        """Returns what the layers give, [B, D] each. inputs: [B, ...]."""
        shape = inputs.shape, inputs.dtype
        if self.met[shape] and shape not in self.ways and len(self.ways) < SHAPES:
            self.ways[shape] = self._way(inputs, self.met[shape] / self.met.total())
        self.met[shape] += len(inputs)
        way = self.ways.get(shape)
        if way is None:
            return self.watched(inputs)
        self.lean += len(inputs)
        given = dict(zip(way.widths, way.lean(inputs).split(list(way.widths.values()), 1), strict=True))
        return [given[name].contiguous() for name in self.watched.layers]  # a view would keep all layers in memory

    def about(self) -> str:
        """Returns how the inputs were evaluated; nothing if the network did it by itself, as it does most often."""
        if self.lean:
            return f"{self.lean:,} of {self.met.total():,} inputs by a lean forward pass"
        return self.why and f"no lean forward pass: {self.why}"

    def _way(self, inputs: torch.Tensor, share: float) -> Way | None:
        layers, left = Layers(self.watched), share * (self.count - self.met.total())
        try:
            if not pays(layers, inputs[:1], left):
                return None
            expected = self.watched.all(inputs)
            lean = Lean(layers, captured(layers, inputs))
            lean.prepare()
            widths = {name: part.shape[1] for name, part in expected.items()}
            for found, part in zip(lean(inputs).split(list(widths.values()), 1), expected.values(), strict=True):
                check(found, part)
        except torch.OutOfMemoryError:
            raise
        except Exception as error:  # whatever a network does that is not made for this
            self.why = first_line(error)
            return None
        return Way(lean, widths)
