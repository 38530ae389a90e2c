"""A layer of a network, run on the entries of maps.

Maps are [entries + 1, t, t, C], with the channels last, so that any window is a selection of rows of C numbers. The
last entry is what lies beyond the edge of the map, as the layer that reads it wants it.
"""

from collections.abc import Callable

import torch
from torch import fx, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_weights

from interactions.graph import Layer
from interactions.layout import Step
from interactions.tiles import Gather, Tiling


class Cells:
    """The cells of windows among the entries of a map, on a device."""

    def __init__(self, gather: Gather, where: torch.device) -> None:
        self.entries = torch.from_numpy(gather.entries).to(where)
        self.piece, self.cell = (torch.from_numpy(x).to(where, torch.int32) for x in (gather.piece, gather.cell))
        self.shape = gather.shape

    def take(self, entries: torch.Tensor, start: int, end: int) -> torch.Tensor:
        """Windows start to end, [end - start, *shape, C]."""
        t, channels = entries.shape[1], entries.shape[3]
        rows = self.entries[start:end].index_select(1, self.piece).mul_(t * t).add_(self.cell)
        return entries.view(-1, channels).index_select(0, rows.flatten()).view(-1, *self.shape, channels)


class Edge:
    """The cells of tiles that lie beyond the edge of the map."""

    def __init__(self, tiling: Tiling, where: torch.device) -> None:
        rows, columns = tiling.shape
        self.rows, self.columns = (
            side - (tiles - 1) * tiling.t for side, tiles in zip(tiling.size, tiling.shape, strict=True)
        )
        self.bottom = int(tiling.first[(rows - 1) * columns])
        self.right = torch.from_numpy((tiling.tile % columns == columns - 1).nonzero()[0]).to(where)

    def fill(self, entries: torch.Tensor, value: float) -> None:
        entries[-1] = value
        entries[self.bottom : -1, self.rows :] = value
        if self.columns < entries.shape[2]:
            entries[self.right, :, self.columns :] = value


class TiledLayer:
    """Makes the entries of a layer's value from those of the maps that it reads."""

    def __init__(self, step: Step, where: torch.device) -> None:
        self.layer, self.unfolded, self.t, self.count = step.layer, step.unfolded, step.out.t, step.out.entries
        self.windows = step.windows and Cells(step.windows, where)
        self.added = {node: cells and Cells(cells, where) for node, cells in step.added.items()}
        self.edge = Edge(step.source, where) if step.layer.window.leaves else None
        self.value = step.layer.value

    def __call__(self, maps: dict[fx.Node, torch.Tensor], chunk: int) -> torch.Tensor:
        """[entries + 1, t, t, C]; chunk: bytes of windows at a time."""
        source = maps[self.layer.source]
        if self.edge:
            self.edge.fill(source, -torch.inf if isinstance(self.layer.head, nn.MaxPool2d) else 0)
        head, after = self._head(), self._after()
        out = source.new_empty(self.count + 1, self.t, self.t, self.layer.channels[1])
        size = max(1, chunk // self._bytes(source))
        for start in range(0, self.count, size):
            end = min(start + size, self.count)
            target = out[start:end]
            y = head(_taken(self.windows, source, start, end), target)
            for op in after:
                if isinstance(op, fx.Node):
                    y += _channels_first(_taken(self.added[op], maps[op], start, end))
                else:
                    y = y.relu_() if isinstance(op, nn.ReLU) else op(y)
            if y.data_ptr() != target.data_ptr():
                target.copy_(y.permute(0, 2, 3, 1))
        return out

    @property
    def gathers(self) -> list[Cells]:
        return [cells for cells in (self.windows, *self.added.values()) if cells]

    def _bytes(self, source: torch.Tensor) -> int:
        """Of the cells that an entry is made of, and its own."""
        cells = self.windows.shape[0] * self.windows.shape[1] if self.windows else source.shape[1] ** 2
        own = self.t**2 * self.layer.channels[1] * (1 + len(self.added))
        return (cells * source.shape[3] + own) * source.element_size()

    def _head(self) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
        """From windows [B, h, w, C], and memory for the outputs [B, t, t, C'], to outputs [B, C', t, t] that are not
        the windows' own memory."""
        head, window = self.layer.head, self.layer.window
        stride = 1 if window.is_point else window.stride
        if head is None:
            return lambda x, out: _channels_first(out.copy_(x))
        if isinstance(head, nn.MaxPool2d):
            return lambda x, out: F.max_pool2d(_channels_first(x), window.kernel, stride, 0, window.dilation)
        if not isinstance(head, nn.Conv2d):
            divisor = getattr(head, "divisor_override", None)
            return lambda x, out: F.avg_pool2d(_channels_first(x), window.kernel, stride, divisor_override=divisor)
        weight, bias = _folded(self.layer)
        if self.unfolded:
            matrix = weight.permute(0, 2, 3, 1).flatten(1)
            return lambda x, out: _channels_first(_product(x, matrix, bias, out))
        weight = weight.contiguous(memory_format=torch.channels_last)
        return lambda x, out: F.conv2d(_channels_first(x), weight, bias, stride, 0, window.dilation, head.groups)

    def _after(self) -> list[nn.Module | fx.Node]:
        return self.layer.after[1:] if _folds(self.layer) else self.layer.after


def _taken(cells: Cells | None, entries: torch.Tensor, start: int, end: int) -> torch.Tensor:
    return entries[start:end] if cells is None else cells.take(entries, start, end)


def _product(x: torch.Tensor, matrix: torch.Tensor, bias: torch.Tensor | None, out: torch.Tensor) -> torch.Tensor:
    """The cells of x, one window after the other, times the matrix [C', cells], written to `out`."""
    x, y = x.reshape(-1, matrix.shape[1]), out.view(-1, len(matrix))
    torch.mm(x, matrix.T, out=y) if bias is None else torch.addmm(bias, x, matrix.T, out=y)
    return out


def _channels_first(x: torch.Tensor) -> torch.Tensor:
    return x.permute(0, 3, 1, 2)


def _folds(layer: Layer) -> bool:
    """Whether a batch-norm follows a convolution: one of other weights does both."""
    return isinstance(layer.head, nn.Conv2d) and bool(layer.after) and isinstance(layer.after[0], nn.BatchNorm2d)


def _folded(layer: Layer) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Weight and bias of the convolution, with the batch-norm after it."""
    conv = layer.head
    if not _folds(layer):
        return conv.weight, conv.bias
    norm = layer.after[0]
    return fuse_conv_bn_weights(
        conv.weight, conv.bias, norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias
    )
