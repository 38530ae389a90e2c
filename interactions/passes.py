"""Lean forward passes of masked inputs: they begin where variables meet, and leave out what nobody reads.

interactions/versions.py finds the values that are masked in place of the input, models/lean computes the logits from
these. Both are made when the first batch of a shape comes. Their logits are compared with the network's own then, and
once for each checkpoint: a network may keep something that is neither a parameter nor a buffer. Where they differ, or
the network can't be captured, it runs as it is.
"""

import torch
from torch import nn

from conf.first_line import first_line
from interactions.dense import Logits
from interactions.variables.masking import masked
from interactions.versions import Beginning, Version, alike
from models.lean.captured import Captured, NotCaptured, beginning_at, captured
from models.lean.forward import Lean, check
from models.lean.straight import straight
from models.memory import formatted


class Passes:
    """Evaluates masked inputs with the weights that the model has; `forget` must be called when they have changed.

    why: why the network runs as it is for batches of some shape.
    """

    def __init__(self, model: nn.Module, memory_format: torch.memory_format, compiled: bool) -> None:
        self.model, self.memory_format, self.compiled, self.why = model, memory_format, compiled, ""
        # By the shape and type of a batch; beginnings by the block of samples, too, and leans by what is masked.
        self._graphs: dict[tuple, Captured] = {}
        self.beginnings: dict[tuple, Beginning] = {}
        self._leans: dict[tuple, Lean] = {}
        self._as_it_is: set[tuple] = set()  # shapes
        self._prepared: set[tuple] = set()  # the leans that have the weights of the model
        self._versions: tuple[tuple | None, list[Version]] = (None, [])  # of the last block

    def forget(self) -> None:
        self._prepared.clear()
        self._versions = (None, [])

    def of(self, inputs: torch.Tensor, baseline: torch.Tensor, member: torch.Tensor, block: range) -> Logits:
        """Returns the function that gives the logits of masked inputs of S samples.

        inputs: [S, ...]; baseline: [...]; member: [S, ...]; block: the numbers of the samples.
        """

        def plain(which: torch.Tensor, subset: torch.Tensor) -> torch.Tensor:
            return self.model(formatted(masked(inputs[which], baseline, member[which], subset), self.memory_format))

        def lean(which: torch.Tensor, subset: torch.Tensor) -> torch.Tensor:
            shape = (len(which), inputs.shape[1:], inputs.dtype)
            beginning = self._beginning(shape, inputs, member, block)
            if self._versions[0] != (shape, block):
                none = masked(inputs, baseline, member, subset.new_zeros(len(inputs)))
                self._versions = (shape, block), beginning.versions(inputs, none)
            key = (*shape, *(node.name for node in beginning.cuts))
            if key not in self._leans:
                self._leans[key] = Lean(self.model, self.begun(shape, beginning), self.compiled)
            if key not in self._prepared:
                self._leans[key].prepare()
                self._prepared.add(key)
                masks = _drawn(len(inputs), member, len(which))
                check(lean(*masks), plain(*masks))
            given = [formatted(version.of(which, subset), self.memory_format) for version in self._versions[1]]
            return self._leans[key](*given)

        def logits(which: torch.Tensor, subset: torch.Tensor) -> torch.Tensor:
            shape = (len(which), inputs.shape[1:], inputs.dtype)
            if shape not in self._as_it_is:
                try:
                    return lean(which, subset)
                except torch.OutOfMemoryError:
                    raise
                except Exception as error:  # whatever a model does that is not made for this
                    if self.compiled and not isinstance(error, NotCaptured):
                        raise
                    self._as_it_is.add(shape)
                    self.why = first_line(error)
            return plain(which, subset)

        return logits

    def begun(self, shape: tuple, beginning: Beginning) -> Captured:
        """Returns the graph of what comes after the masked values."""
        return beginning_at(self._graphs[shape], beginning.cuts)

    def _beginning(self, shape: tuple, inputs: torch.Tensor, member: torch.Tensor, block: range) -> Beginning:
        key = (shape, block)
        if key not in self.beginnings:
            whole = self._graph(shape, inputs)
            pair = self._graph((3 if shape[0] == 2 else 2, *shape[1:]), inputs)
            if not alike(pair, whole):  # the network does something else with batches of another size
                pair = whole
            self.beginnings[key] = Beginning(self.model, pair, whole, member)
        return self.beginnings[key]

    def _graph(self, shape: tuple, inputs: torch.Tensor) -> Captured:
        """Returns the graph of the network for a batch of this shape."""
        if shape not in self._graphs:
            example = inputs[:1].expand(shape[0], *inputs.shape[1:]).clone()
            self._graphs[shape] = straight(captured(self.model, formatted(example, self.memory_format)))
        return self._graphs[shape]


def _drawn(samples: int, member: torch.Tensor, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Draws masked inputs, [count] samples and [count] subsets, always the same ones."""
    draw, where = torch.Generator().manual_seed(0), member.device
    subset = torch.randint(2 * max(1, int(member.max())), (count,), generator=draw)
    return torch.arange(count, device=where) % samples, subset.to(where)
