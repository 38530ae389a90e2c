"""Decides how a network's maps are cut into tiles for one sample, and where it turns dense; and estimates the costs.

Costs are in multiply-adds: those of the arithmetic, and those that could be done while the data are moved.

This file answers two questions. The first: how large are the tiles of a map? Take map b of the example in `tiles`, 8
cells that see {0} {0} {0} {0,1} {0,1} {1} {1} {1}, each made from a window of three cells. For all four subsets

    side of a tile, t                        1    2    4    8
    entries                                 20   12    8    4
    cells that are computed: entries * t    20   24   32   32
    cells that are gathered: * (t + 2)      60   48   48   40

so small tiles save arithmetic (a tile has a version for every subset of what any of its cells sees: cell 2 is computed
twice at t = 1, and four times at t = 2, together with cell 3), and large ones save moving data (neighbours share most
of their windows). At t = 8 the entries are the four whole maps. In two dimensions, with n = 10, the differences are
larger.

The second: how many layers run on tiles? The deeper a map, the more variables its cells see, until every tile sees all
of them and has 2**n versions: then whole maps are less work, as nothing is gathered. The maps are once put together
from their entries, which costs something too: the layout is the number of layers for which the sum is least.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from torch import fx

from interactions.local.graph import Layer, Network
from interactions.local.tiles import Gather, Tiling, Window, gather, is_whole, seen_through, windows

# How many multiply-adds a CPU could do in the time that it takes to move one byte.
MACS_PER_BYTE = 14  # for entries, which are gathered from anywhere
DENSE_MACS_PER_BYTE = 7  # for whole maps: fitted to VGG-16, two ResNets and a small network on a CPU, within 2 %
GROUPS_ON_TILES = 2.2  # convolutions in groups of channels are this many times slower than on whole maps
TILES = (1, 2, 4, 8, 16)  # powers of two: tiles of other sides rarely consist of whole tiles of the previous map

Seen = dict[fx.Node, np.ndarray]
Tilings = dict[fx.Node, Tiling]
Tiled = Callable[[fx.Node, int], Tiling]  # returns the tiling of a layer's value with tiles of that side


@dataclass
class Step:
    """A layer on tiles, and where its windows and the cells that it adds to them lie among the entries of other maps.

    unfolded: a window per output cell, for a matrix product; otherwise one per tile, for a convolution or pooling. If a
    gather is None, the entries are taken as they are.
    """

    layer: Layer
    source: Tiling
    out: Tiling
    unfolded: bool
    windows: Gather | None
    added: dict[fx.Node, Gather | None]


@dataclass
class Layout:
    """How a network runs on one sample. steps: the layers that run on tiles; rest: how the maps that are read later are
    put together, for all subsets.

    dense_from: the name of the first layer that runs on whole maps, and the reason; None if all run on tiles; costs:
    for all subsets; bytes: the most bytes of entries that are kept at a time.
    """

    image: Tiling
    steps: list[Step]
    rest: dict[fx.Node, Gather]
    dense_from: tuple[str, str] | None
    local_cost: float
    dense_cost: float
    bytes: int


def layout(network: Network, member: np.ndarray, n: int, itemsize: int, limit: int) -> Layout:
    """Returns the cheapest layout.

    member: [H, W] int64, the bit of each pixel's variable, 0 for none; limit: the most `Layout.bytes`.
    """
    tilings = {network.image: Tiling(member, 1, n)}
    costs, stop = _tile(network, _seen(network, member), tilings, itemsize)
    dense = {node: 2**n * _dense_cost(network, node, itemsize) for node in network.macs}
    kept = [_kept_bytes(network, index, tilings, itemsize) for index in range(len(costs))]
    fit = next((index for index, size in enumerate(kept) if size > limit), len(costs))
    if fit < len(costs):
        stop = (network.layers[fit].name, f"the entries of its maps take {kept[fit] / 2**20:.0f} MiB")
    # The cost with the first 0, 1, 2, ... layers on tiles and the rest on whole maps: each further layer adds its cost
    # on tiles, and subtracts the cost of its nodes on whole maps.
    layers = [sum(dense.values())]
    for cost, layer in zip(costs[:fit], network.layers, strict=False):
        layers.append(layers[-1] + cost - sum(dense[node] for node in layer.nodes))
    # All numbers are tried: the sum may rise for a layer or two before it falls again, as at the end of a residual
    # block, where fewer maps have to be put together than inside the block.
    total = [cost + _assembly_cost(network, number, n, itemsize) for number, cost in enumerate(layers)]
    count = int(np.argmin(total))
    if count < fit:
        stop = (network.layers[count].name, "whole maps are faster from there on")
    return Layout(
        image=tilings[network.image],
        steps=[_step(layer, tilings, itemsize) for layer in network.layers[:count]],
        rest={node: _whole(tilings[node]) for node in network.read_after[count]} if count else {},
        dense_from=stop,
        local_cost=total[count],
        dense_cost=total[0],
        bytes=max(kept[:count], default=0),
    )


def _seen(network: Network, member: np.ndarray) -> Seen:
    """Returns the variables that the cells of each layer see, [H, W], by the node of its value."""
    seen = {network.image: member}
    for layer in network.layers:
        cells = seen_through(layer.window, seen[layer.source], layer.size)
        for other in layer.added:
            cells = cells | seen[other]
        seen[layer.value] = cells
    return seen


def _tile(network: Network, seen: Seen, tilings: Tilings, itemsize: int) -> tuple[list[float], tuple[str, str] | None]:
    """Adds the tilings of the layers. Returns the cost of each, and the first layer that has none, with the reason.

    Maps of one size have tiles of one size, so that they can be added.
    """
    n, sides, costs = tilings[network.image].n, {}, []
    # Trials of several sides ask for the same tilings again, and counting the versions of large maps takes time.
    tiling = cache(lambda node, side: Tiling(seen[node], side, n))
    for index, layer in enumerate(network.layers):
        if layer.size not in sides:
            # The first map of a size decides for the later ones, for which it looks ahead.
            sides[layer.size] = _best_side(network.layers[index:], tiling, tilings, itemsize)
        if not _fits(layer, sides[layer.size], tilings):
            return costs, (layer.name, "its tiles would not be made of whole tiles")
        costs.append(_add_tiling(layer, sides[layer.size], tiling, tilings, itemsize))
    return costs, network.stop


def _best_side(layers: list[Layer], tiling: Tiled, tilings: Tilings, itemsize: int) -> int:
    """Returns the side of tiles that is cheapest for all layers whose maps have the first layer's size.

    It is the smallest side whose next larger one is not cheaper: small tiles leave the later layers more choice.
    """
    size = layers[0].size
    sides = [side for side in TILES if _fits(layers[0], side, tilings)]
    # A tile that is larger than the map would be the whole map, for which dense is better. If no side fits, 1 is
    # returned: `_tile` then checks again, ends there and gives the reason.
    sides = [side for side in sides if side <= max(size)] or sides[:1] or [1]
    best, least = sides[0], np.inf
    for side in sides:
        trial, cost = dict(tilings), 0.0  # a copy: later layers of this size stand on the trial's earlier ones
        for layer in layers:
            if layer.size == size and _fits(layer, side, trial):
                cost += _add_tiling(layer, side, tiling, trial, itemsize)
        if cost >= least:
            break
        best, least = side, cost
    return best


def _fits(layer: Layer, side: int, tilings: Tilings) -> bool:
    """Returns whether windows of tiles of that side begin where tiles begin."""
    if any(node not in tilings for node in (layer.source, *layer.added)):
        return False  # it reads a map that is not on tiles
    # An output tile of side s covers s * stride cells of the source; its window begins with them, except for padding.
    return side * layer.window.stride % tilings[layer.source].t == 0 and all(
        side % tilings[node].t == 0 for node in layer.added
    )


def _add_tiling(layer: Layer, side: int, tiling: Tiled, tilings: Tilings, itemsize: int) -> float:
    """Adds the tiling of the layer and returns its cost."""
    source = tilings[layer.source]
    tilings[layer.value] = out = tiling(layer.value, side)
    # Maps whose tiles are the layer's own are added entry by entry, and not gathered.
    added = sum(count for node, count in layer.added.items() if not is_whole(tilings[node], Window(), out))
    moved = (layer.channels[1] + added) * itemsize
    cells = out.entries * side**2
    each = layer.macs + MACS_PER_BYTE * moved + DENSE_MACS_PER_BYTE * layer.passes * itemsize
    return min(_head_costs(layer, source, out, itemsize)) + cells * each


def _head_costs(layer: Layer, source: Tiling, out: Tiling, itemsize: int) -> tuple[float, float]:
    """Returns the costs of the convolution or pooling with one window per tile, and with one per output cell.

    Convolutions with small outputs are slow: the overhead of each one counts.
    """
    cells, whole, macs = out.t**2, is_whole(source, layer.window, out), layer.head.macs if layer.head else 0
    tile = len(layer.window.cells(0, out.t)) * len(layer.window.cells(1, out.t))
    # The cost of one more cell in the windows, for all entries.
    moved = 0 if whole else MACS_PER_BYTE * itemsize * layer.channels[0] * out.entries
    if layer.is_convolution and layer.head.groups > 1:
        return out.entries * macs * cells * GROUPS_ON_TILES + moved * tile, np.inf  # no product of two matrices
    per_tile = out.entries * macs * (cells + 4) + moved * tile
    # A pooling is not a product. And if the source's entries are taken as they are, nothing is gathered that could be
    # unfolded: a product is possible only if an entry is one window, or each of its cells is.
    if not layer.unfolds or (whole and cells > 1 and not layer.window.is_point):
        return per_tile, np.inf
    kernel = layer.window.kernel[0] * layer.window.kernel[1]
    return per_tile, out.entries * macs * cells + moved * cells * kernel


def _dense_cost(network: Network, node: fx.Node, itemsize: int) -> float:
    """Returns the cost of a node on one whole input."""
    written = math.prod(network.shapes[node]) if node in network.written else 0
    return network.macs[node] + DENSE_MACS_PER_BYTE * itemsize * written


def _assembly_cost(network: Network, count: int, n: int, itemsize: int) -> float:
    """Returns the cost of putting together the maps that are read after the first `count` layers, if these run on
    tiles."""
    shapes = [network.shapes[node] for node in network.read_after[count]] if count else []
    return 2**n * MACS_PER_BYTE * itemsize * sum(map(math.prod, shapes))


def _kept_bytes(network: Network, index: int, tilings: Tilings, itemsize: int) -> int:
    """Returns the bytes of the maps that exist while a layer runs: its own, and earlier ones that it or a later layer
    reads."""
    # `read_after[index]` is the state before the layer: the maps that it reads are released only when it is done.
    nodes = {network.layers[index].value} | network.read_after[index] - {network.image}
    return sum(tilings[node].entries * tilings[node].t ** 2 * network.channels(node) * itemsize for node in nodes)


def _step(layer: Layer, tilings: Tilings, itemsize: int) -> Step:
    source, out = tilings[layer.source], tilings[layer.value]
    per_tile, per_cell = _head_costs(layer, source, out, itemsize)
    found = windows(source, layer.window, out)
    unfolded = per_cell < per_tile
    if unfolded and found is not None:
        found = found.unfolded(layer.window, out.t)
    return Step(
        layer, source, out, unfolded, found, {node: windows(tilings[node], Window(), out) for node in layer.added}
    )


def _whole(tiling: Tiling) -> Gather:
    """Returns the gather of all cells of the map, for each of the 2**n subsets."""
    # One window, which begins at the first tile and is as large as the map, in 2**n versions.
    corner, kept = np.zeros((1, 2), np.int64), np.arange(2**tiling.n)
    return gather(tiling, corner, np.array([len(kept)]), kept, *(np.arange(side) for side in tiling.size))
