"""Runs a layer of a network on the entries of maps.

Maps are [entries + 1, t, t, C], with the channels last, so that any window is a selection of rows of C numbers. The
last entry holds what lies beyond the edge of the map, as the layer that reads it expects it. The operations of the
network see maps in the network's own form: a view [B, C, t, t], or [B, t, t, C] if it has put the channels last.
"""

from collections.abc import Callable, Mapping

import torch
from torch import fx, nn
from torch.nn import functional as F

from interactions.local.fold import Folded, Values, folded
from interactions.local.graph import Network, Op
from interactions.local.layout import Step
from interactions.local.operations import called, name_of, overwrites, passes_on
from interactions.local.tiles import Gather, Tiling

Run = Callable[[torch.Tensor, int, int], torch.Tensor]  # the value of some entries, from the one before


class Cells:
    """The cells of windows among the entries of a map, on a device."""

    def __init__(self, gather: Gather, where: torch.device) -> None:
        self.entries = torch.from_numpy(gather.entries).to(where)
        self.piece, self.cell = (torch.from_numpy(x).to(where, torch.int32) for x in (gather.piece, gather.cell))
        self.shape = gather.shape

    def take(self, entries: torch.Tensor, start: int, end: int) -> torch.Tensor:
        """Returns the windows start to end, [end - start, *shape, C]."""
        t, channels = entries.shape[1], entries.shape[3]
        # A map is a list of cells, entry after entry: cell c of entry e is number e * t * t + c. int32 is enough: the
        # bytes of a map are limited to 2**31.
        rows = self.entries[start:end].index_select(1, self.piece).mul_(t * t).add_(self.cell)
        return entries.view(-1, channels).index_select(0, rows.flatten()).view(-1, *self.shape, channels)


class Edge:
    """The cells of tiles that lie beyond the edge of the map.

    In a map of 7 x 7 cells with tiles of 4, the last row and column of tiles have one row or column of cells too many,
    which contain what the previous layer made of its own edge. Windows may reach them: they must look like padding.
    """

    def __init__(self, tiling: Tiling, where: torch.device) -> None:
        rows, columns = tiling.shape
        self.rows, self.columns = (
            side - (tiles - 1) * tiling.t for side, tiles in zip(tiling.size, tiling.shape, strict=True)
        )
        # Tiles are in order row by row: the last row's are the last entries, the last column's are spread over all.
        self.bottom = int(tiling.first[(rows - 1) * columns])
        self.right = torch.from_numpy((tiling.tile % columns == columns - 1).nonzero()[0]).to(where)

    def fill(self, entries: torch.Tensor, value: float) -> None:
        entries[-1] = value
        entries[self.bottom : -1, self.rows :] = value
        if self.columns < entries.shape[2]:
            entries[self.right, :, self.columns :] = value


class TiledLayer:
    """Computes the entries of a layer's value from those of the maps that it reads."""

    def __init__(self, step: Step, network: Network, where: torch.device) -> None:
        self.layer, self.unfolded, self.t, self.count = step.layer, step.unfolded, step.out.t, step.out.entries
        self.network, self.model, self.last = network, network.model, network.last
        self.windows = step.windows and Cells(step.windows, where)
        self.added = {node: cells and Cells(cells, where) for node, cells in step.added.items()}
        self.edge = Edge(step.source, where) if step.layer.window.leaves else None
        self.value = step.layer.value

    def __call__(self, maps: dict[fx.Node, torch.Tensor], fixed: Values, chunk: int) -> torch.Tensor:
        """Returns [entries + 1, t, t, C]. fixed: values of the nodes that do not depend on the input; chunk: bytes at a
        time."""
        source = maps[self.layer.source]
        # Padding counts as 0 in sums and is never a maximum. The reading layer writes it, as another layer that reads
        # the same map may need another value.
        if self.edge:
            self.edge.fill(source, -torch.inf if self.layer.head.kind == "max" else 0)
        out = source.new_empty(self.count + 1, self.t, self.t, self.layer.channels[1])
        # Windows overlap: all of them at once would be several times the map. A chunk of them stays in the caches.
        size = max(1, chunk // self._bytes(source))
        fold = folded(self.model, self.layer, fixed) if self.layer.is_convolution else None
        head, after = self._head(fold), self._after(fold, maps, fixed)
        for start in range(0, self.count, size):
            end = min(start + size, self.count)
            target = out[start:end]
            y = head(_taken(self.windows, source, start, end), target)
            for op in after:
                y = op(y, start, end)
            if y.data_ptr() != target.data_ptr():  # products and operations in place have already written there
                target.copy_(y if self.value in self.last else y.permute(0, 2, 3, 1))
        return out

    @property
    def gathers(self) -> list[Cells]:
        return [cells for cells in (self.windows, *self.added.values()) if cells]

    def _bytes(self, source: torch.Tensor) -> int:
        """Returns the bytes of the cells that an entry is made of, and of the entry itself."""
        cells = self.windows.shape[0] * self.windows.shape[1] if self.windows else source.shape[1] ** 2
        own = self.t**2 * self.layer.widest * (1 + len(self.added))
        return (cells * source.shape[3] + own) * source.element_size()

    def _head(self, fold: Folded | None) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
        """Returns a function from windows [B, h, w, C], and memory for the outputs [B, t, t, C'], to outputs in the
        network's form."""
        head, window = self.layer.head, self.layer.window
        # Heads do not pad: what lies beyond the edge is among the cells of the windows.
        stride = 1 if window.is_point else window.stride
        if head is None:
            last = self.layer.source in self.last
            return lambda x, out: _seen(out.copy_(x) if self._begins_in_place else x, last)
        if head.kind == "max":
            return lambda x, out: F.max_pool2d(_seen(x), window.kernel, stride, 0, window.dilation)
        if head.kind == "avg":
            return lambda x, out: F.avg_pool2d(_seen(x), window.kernel, stride, divisor_override=head.divisor)
        weight, bias, _ = fold
        if self.unfolded:
            matrix = weight.permute(0, 2, 3, 1).flatten(1)  # as the cells of a window lie: row, column, channel
            return lambda x, out: _seen(_product(x, matrix, bias, out))
        weight = weight.contiguous(memory_format=torch.channels_last)
        return lambda x, out: F.conv2d(_seen(x), weight, bias, stride, 0, window.dilation, head.groups)

    def _after(self, fold: Folded | None, maps: Mapping[fx.Node, torch.Tensor], fixed: Values) -> list[Run]:
        """Returns the operations after the head, each of which takes the result of the one before."""
        done = fold.count if fold else 0  # the first operations are in the weights of the convolution
        value = self.layer.nodes[done] if self.layer.head else self.layer.source
        # The result of a head or a gather is new memory. The source's own entries stay: later layers may read them.
        own = self.layer.head is not None or self._begins_in_place or self.windows is not None
        run = []
        for op in self.layer.after[done:]:
            run.append(self._op(op, value, own, maps, fixed))
            value, own = op.node, own or not passes_on(self.model, op.node)  # a view of foreign memory stays foreign
        return run

    @property
    def _begins_in_place(self) -> bool:
        """Whether a layer without a head should begin with a copy to the place of its value."""
        before, after = self.layer.channels
        first = self.layer.after[0]
        return before == after and (self._is_sum(first, self.layer.source) or self._is_relu(first))

    def _is_relu(self, op: Op) -> bool:
        if op.node.op == "call_module":
            return type(self.model.get_submodule(op.node.target)) is nn.ReLU
        return name_of(op.node) in ("relu", "relu_")

    def _is_sum(self, op: Op, value: fx.Node) -> bool:
        """Returns whether the operation adds to the previous value one other map, which does not have more channels."""
        two = len(op.maps) == 1 and len(op.node.args) == 2 and not op.node.kwargs
        grows = self.network.channels(op.node) != self.network.channels(value)
        return two and not grows and name_of(op.node) in ("add", "iadd", "add_")

    def _op(self, op: Op, value: fx.Node, own: bool, maps: Mapping[fx.Node, torch.Tensor], fixed: Values) -> Run:
        """Returns the function of an operation.

        value: the node before; own: whether nothing else uses its memory, so that it may be overwritten.
        """

        def taken(node: fx.Node, start: int, end: int) -> torch.Tensor:
            return _seen(_taken(self.added[node], maps[node], start, end), node in self.last)

        if own and self._is_relu(op):
            return lambda y, start, end: y.relu_()
        if own and self._is_sum(op, value):
            return lambda y, start, end: y.add_(taken(op.maps[0], start, end))
        copies = overwrites(self.model, op.node) and not own

        # Any other operation runs as in the network, with a chunk of each map instead of the whole map.
        def run(y: torch.Tensor, start: int, end: int) -> torch.Tensor:
            values = {value: y.clone() if copies else y} | {node: taken(node, start, end) for node in op.maps}
            return called(self.model, op.node, lambda node: values[node] if node in values else fixed[node])

        return run


def _taken(cells: Cells | None, entries: torch.Tensor, start: int, end: int) -> torch.Tensor:
    return entries[start:end] if cells is None else cells.take(entries, start, end)


def _product(x: torch.Tensor, matrix: torch.Tensor, bias: torch.Tensor | None, out: torch.Tensor) -> torch.Tensor:
    """Multiplies the cells of x, one window after the other, by the matrix [C', cells]; in `out`, if that has C'
    channels."""
    out = out if out.shape[3] == len(matrix) else out.new_empty(*out.shape[:3], len(matrix))
    x, y = x.reshape(-1, matrix.shape[1]), out.view(-1, len(matrix))
    torch.mm(x, matrix.T, out=y) if bias is None else torch.addmm(bias, x, matrix.T, out=y)
    return out


def _seen(x: torch.Tensor, last: bool = False) -> torch.Tensor:
    """Returns [B, t, t, C] in the form that the network sees."""
    return x if last else x.permute(0, 3, 1, 2)
