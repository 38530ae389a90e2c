"""Computes the logits of all 2**n masked inputs of a convolutional network at far less cost than 2**n forward passes.

A cell of an early feature map sees only the variables in its receptive field: with k of these, it has 2**k different
values, not 2**n. So maps are kept as entries, the versions of their tiles (see `tiles`); a layer gathers the windows of
its own entries from those of the previous map (see `layout`). Where whole maps are less work, they are put together,
and the rest of the network runs on them as it is.

In the example of `tiles` (8 pixels, two variables, two convolutions of kernel 3 and a linear layer) the 4 masked inputs
take, in cells:

                        forward passes    entries
    image               4 * 8 = 32        14
    first convolution   4 * 8 = 32        16 (8 entries of 2 cells)
    second convolution  4 * 8 = 32        24 (12 entries of 2 cells)
    linear layer        4 maps            4 maps, put together from the 12 entries

With two variables this saves little. With ten, the middle column is 256 times as large; the right one grows with the
number of variables that a tile sees, and not with the number of all variables.
"""

import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass

import torch
from torch import fx, nn

from conf.first_line import first_line
from interactions.local.graph import Network
from interactions.local.layers import Cells, TiledLayer
from interactions.local.layout import Layout, layout
from interactions.local.rest import Rest
from interactions.local.trace import some_inputs
from interactions.variables.masking import membership
from models.memory import formatted, settled

CHUNK = {"cpu": 2**25}  # bytes: more would not fit in the caches
CHUNK_ELSEWHERE = 2**28  # bytes: fewer would not fill an accelerator

Maps = dict[fx.Node, torch.Tensor]


@dataclass(frozen=True)
class Plan:
    """How all masked inputs of one sample are evaluated, for any image and weights: the layout with its costs.

    pixels: [entries of the input], the number of a pixel of the image (row by row) or, plus `H * W`, of the baseline;
    layers: those that run on entries; unused: after each layer, the maps that nothing reads any more; rest: how maps
    are put together.
    """

    n: int
    layout: Layout
    pixels: torch.Tensor
    layers: list[TiledLayer]
    unused: list[list[fx.Node]]
    rest: dict[fx.Node, Cells]

    @property
    def local_cost(self) -> float:
        return self.layout.local_cost

    @property
    def dense_cost(self) -> float:
        return self.layout.dense_cost

    @property
    def bytes(self) -> int:
        """The bytes of the entries of maps and of their places; a few times the chunk of `logits` must be added."""
        gathers = [*self.rest.values(), *(cells for layer in self.layers for cells in layer.gathers)]
        return self.layout.bytes + self.pixels.nbytes + sum(cells.entries.nbytes for cells in gathers)

    @property
    def predicted_speedup(self) -> float:
        return self.dense_cost / self.local_cost

    @property
    def dense_from(self) -> tuple[str, str] | None:
        """The first layer that runs on whole maps, and the reason; None if all run on entries."""
        return self.layout.dense_from


class Local:
    """Evaluates a model that is in evaluation mode, always with the weights that it has at that time.

    reason: why no layer of the model can be evaluated locally; None if some can. lean, compiled: whether whole maps go
    through a lean rest of the network, and a compiled one; `forget` must then be called when the weights have changed.
    """

    def __init__(self, model: nn.Module, shape: tuple[int, int, int]) -> None:
        """shape: (C, H, W) of the inputs."""
        self.model, self.network, self.reason = model, None, None
        self.lean = self.compiled = False
        self._rests: dict[tuple[fx.Node, ...], Rest] = {}  # by the maps that are put together
        try:
            self.network = Network(model, shape)
            self.memory_format = settled(model, some_inputs(model, shape))
        except Exception as error:  # whatever a model does that is not made for tracing
            self.reason = f"it can't be traced ({_first_sentence(error)})"
            return
        if not self.network.layers:
            name, why = self.network.stop or ("output", "there is no layer before it")
            self.reason = f"dense from its first operation on, {name} ({why})"

    @property
    def why_plain(self) -> str:
        """Why whole maps did not go through a lean rest, as far as they did not."""
        return next((rest.why for rest in self._rests.values() if rest.why), "")

    def forget(self) -> None:
        for rest in self._rests.values():
            rest.forget()

    def plan(self, owner: torch.Tensor, n: int, memory: int = 2**31) -> Plan:
        """Plans the evaluation of a sample.

        owner: [1, H, W] int64, the variable of each pixel (-1: none); memory: bytes for the entries of maps.
        """
        parameter = next(self.model.parameters())
        member = membership(owner)[0].long().cpu().numpy()
        found = layout(self.network, member, n, parameter.element_size(), memory)
        image, where = found.image, parameter.device
        # A tile of the image is a pixel; it comes from the baseline if it has a variable that is not kept.
        pixels = image.tile + (image.kept != image.variables[image.tile]) * member.size
        return Plan(
            n=n,
            layout=found,
            pixels=torch.from_numpy(pixels).to(where),
            layers=[TiledLayer(step, self.network, where) for step in found.steps],
            unused=_unused([[step.layer.source, *step.layer.added] for step in found.steps], found.rest),
            rest={node: Cells(cells, where) for node, cells in found.rest.items()},
        )

    def logits(self, plan: Plan, image: torch.Tensor, baseline: torch.Tensor, chunk: int | None = None) -> torch.Tensor:
        """Returns [2**n, classes], index = bitmask (bit i: variable i is kept).

        image, baseline: [C, H, W], of the model's type and on its device; chunk: bytes of windows that are gathered at
        a time, and of the largest whole map (None: CHUNK). Raises ValueError if the plan has no layer that runs on
        entries: then use the model's own forward passes.
        """
        batches = self.batches(plan, image, baseline, chunk)
        with torch.inference_mode():
            return torch.cat([rest(maps, self.lean, self.compiled) for rest, maps in batches])

    @torch.inference_mode()
    def batches(
        self, plan: Plan, image: torch.Tensor, baseline: torch.Tensor, chunk: int | None = None
    ) -> Iterator[tuple[Rest, list[torch.Tensor]]]:
        """Yields whole maps of some masked inputs after the others, and the rest of the network, which takes them."""
        if not plan.layers:
            raise ValueError(f"nothing is gained by tiles for this sample: {plan.dense_from}")
        chunk = chunk or CHUNK.get(image.device.type, CHUNK_ELSEWHERE)
        network, fixed = self.network, self._fixed()
        maps = self._tiled(plan, image, baseline.expand_as(image), fixed, chunk)
        done = {network.image, *(node for step in plan.layout.steps for node in step.layer.nodes)}
        rest = self._rest(plan, done)
        left = [shape for node, shape in network.shapes.items() if node not in done | fixed.keys()]
        fitting = chunk // (max(map(math.prod, left)) * image.element_size())
        batch_size = min(1 << max(16, fitting).bit_length() - 1, 2**plan.n)  # all batches have one shape
        for start in range(0, 2**plan.n, batch_size):
            end = start + batch_size
            yield rest, [self._whole(node, cells.take(maps[node], start, end)) for node, cells in plan.rest.items()]

    def _rest(self, plan: Plan, done: set[fx.Node]) -> Rest:
        maps = tuple(plan.rest)
        if maps not in self._rests:
            shapes = {node: self.network.shapes[node] for node in done if node not in maps}
            self._rests[maps] = Rest(self.model, self.network.graph, maps, shapes)
        return self._rests[maps]

    def _fixed(self) -> Maps:
        """Returns the values of the nodes that do not depend on the image, with the weights that are loaded."""
        run = fx.Interpreter(self.model, graph=self.network.graph)
        run.args_iter = iter(())  # further arguments of the model's forward pass take their defaults
        for node in self.network.fixed:
            run.env[node] = run.run_node(node)
        return run.env

    def _whole(self, node: fx.Node, cells: torch.Tensor) -> torch.Tensor:
        """Returns a map [B, H, W, C] in the network's own form."""
        if node in self.network.last:
            return cells
        return formatted(cells.permute(0, 3, 1, 2), self.memory_format)

    def _tiled(self, plan: Plan, image: torch.Tensor, baseline: torch.Tensor, fixed: Maps, chunk: int) -> Maps:
        """Returns the maps that the rest of the network reads, as entries."""
        pixels = torch.cat([image.flatten(1).T, baseline.flatten(1).T])
        # The last entry, beyond the edge, is filled by the layers that read it.
        entries = pixels.new_zeros(len(plan.pixels) + 1, 1, 1, len(image))
        torch.index_select(pixels, 0, plan.pixels, out=entries[:-1].view(-1, len(image)))
        maps = {self.network.image: entries}
        for layer, unused in zip(plan.layers, plan.unused, strict=True):
            maps[layer.value] = layer(maps, fixed, chunk)
            for node in unused:
                del maps[node]
        return maps


def _unused(reads: list[list[fx.Node]], rest: Collection[fx.Node]) -> list[list[fx.Node]]:
    """Returns for each layer the maps that it is the last to read, except those that the rest of the network reads."""
    last = {node: index for index, nodes in enumerate(reads) for node in nodes}
    return [[node for node in last if last[node] == index and node not in rest] for index in range(len(reads))]


def _first_sentence(error: Exception) -> str:
    """Returns the message without the advice that follows."""
    return first_line(error).partition(". ")[0]
