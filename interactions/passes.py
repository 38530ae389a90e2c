"""Lean forward passes of masked inputs: they begin where variables meet, and leave out what nobody reads.

interactions/versions.py finds the values that are masked instead of the input, models/lean computes the logits from
these. Both are made for batches of one size, when the first such batch comes, and are compared with the network itself.
"""

from collections.abc import Callable

import torch
from torch import nn

from interactions.variables.masking import masked
from interactions.versions import Beginning, Version, alike
from models.lean.captured import Captured, beginning_at, captured
from models.lean.forward import Lean
from models.lean.straight import straight
from models.memory import formatted

CLOSE = 1e-3  # allowed difference of the first logits, as a share of the largest: what is wrong differs by more

Logits = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


class Passes:
    """Evaluates masked inputs with the weights that the model has; `forget` must be called when they have changed."""

    def __init__(self, model: nn.Module, memory_format: torch.memory_format, compiled: bool) -> None:
        self.model, self.memory_format, self.compiled = model, memory_format, compiled
        self._captured: dict[tuple, Captured] = {}
        self._beginnings: dict[tuple, Beginning] = {}
        self._leans: dict[tuple, Lean] = {}
        self._prepared: set[tuple] = set()
        self._versions: tuple[object, list[Version]] = (None, [])

    def forget(self) -> None:
        self._prepared.clear()
        self._versions = (None, [])

    def of(self, inputs: torch.Tensor, baseline: torch.Tensor, member: torch.Tensor, block: tuple) -> Logits:
        """Returns a function from (which, subset) to the logits of these masked inputs of S samples.

        inputs: [S, ...]; baseline: [...]; member: [S, ...]; block: what names these samples among all.
        """
        none = masked(inputs, baseline, member, torch.zeros(len(inputs), dtype=torch.int64, device=inputs.device))

        def logits(which: torch.Tensor, subset: torch.Tensor) -> torch.Tensor:
            key = (block, len(which), inputs.dtype, inputs.shape)
            if key not in self._beginnings:
                self._beginnings[key] = self._beginning(inputs, member, len(which))
            beginning = self._beginnings[key]
            lean = self._lean(beginning, key)
            if self._versions[0] != key:
                self._versions = key, beginning.versions(inputs, none)
            return lean(*(self._taken(version, which, subset) for version in self._versions[1]))

        return logits

    def _taken(self, version: Version, which: torch.Tensor, subset: torch.Tensor) -> torch.Tensor:
        return formatted(version.of(which, subset), self.memory_format)

    def _beginning(self, inputs: torch.Tensor, member: torch.Tensor, size: int) -> Beginning:
        whole = self._graph(inputs, size)
        pair = self._graph(inputs, 3 if size == 2 else 2)
        if not alike(pair, whole):  # the network does something else for batches of another size
            pair = whole
        return Beginning(self.model, pair, whole, member)

    def _graph(self, inputs: torch.Tensor, size: int) -> Captured:
        key = (size, inputs.shape[1:], inputs.dtype)
        if key not in self._captured:
            example = inputs[:1].expand(size, *inputs.shape[1:]).clone()
            self._captured[key] = straight(captured(self.model, formatted(example, self.memory_format)))
        return self._captured[key]

    def _lean(self, beginning: Beginning, key: tuple) -> Lean:
        key = (*key[1:3], key[3][1:], *(node.name for node in beginning.cuts))
        if key not in self._leans:
            self._leans[key] = Lean(self.model, beginning_at(beginning.whole, beginning.cuts), self.compiled)
        if key not in self._prepared:
            self._leans[key].prepare()
            self._prepared.add(key)
        return self._leans[key]
