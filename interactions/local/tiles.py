"""Cuts a feature map into tiles; a tile has one version per subset of the variables that it sees.

The versions of all tiles are the *entries* of the map: tile after tile (row by row), and within a tile ordered by the
subset of its own variables as a bitmask. All sets of variables are bitmasks, too. This file is independent of networks
and images.

An example in one dimension: an image of 8 pixels and two variables, 0 (pixels 0 to 2) and 1 (pixels 5 to 7). Pixels 3
and 4 belong to neither and are never masked.

    pixel                    0      1      2      3     4     5      6      7
    variables that it sees   {0}    {0}    {0}    {}    {}    {1}    {1}    {1}
    entries, t = 1           0 1    2 3    4 5    6     7     8 9    10 11  12 13

Entry 0 is pixel 0 masked, entry 1 the same pixel kept: the 4 masked images (32 pixels) consist of only 14 entries of
one cell. Through a window of three cells, cell 3 of the next map sees pixels 2 to 4, hence variable 0:

    cell of the map a        0      1      2      3      4      5      6      7
    variables that it sees   {0}    {0}    {0}    {0}    {1}    {1}    {1}    {1}
    entries, t = 2           [    0 1   ]  [    2 3   ]  [    4 5   ]  [    6 7   ]

In tiles of two cells this map has 8 entries, with 16 cells in all. To make entry 3 (cells 2 and 3, variable 0 kept),
the pixels 1 to 4 are gathered from the entries 3, 5, 6, 7 of the image; for entry 0 the pixels -1 to 2 from 14, 0, 2,
4, where 14, one past the last, stands for what lies beyond the edge. In the next map, cells 3 and 4 see both variables:

    cell of the map b        0      1      2      3      4      5      6      7
    variables that it sees   {0}    {0}    {0}    {0,1}  {0,1}  {1}    {1}    {1}
    entries, t = 2           [    0 1   ]  [  2 3 4 5 ]  [  6 7 8 9 ]  [   10 11  ]

The second tile has four versions: masked, 0 kept, 1 kept, both kept. Its window, the cells 1 to 4 of the map a, lies in
three tiles of a. These are the *pieces* that it is put together from: for entry 3 (0 kept) the entries 1, 3 and 4 of a,
namely the last cell of the first piece, both of the second and the first of the third. The whole map b for the subset
{0} consists of its entries 1, 3, 7 and 10. (tests/interactions/local/test_example.py checks every number given here.)
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np


@dataclass(frozen=True)
class Window:
    """The cells of a map that make one output cell of a convolution or pooling; by default only the same cell."""

    kernel: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)  # before the first row and the first column
    stride: int = 1

    def cells(self, axis: int, count: int) -> np.ndarray:
        """Returns the input rows (axis 0) or columns of `count` neighbouring outputs, relative to the first output's
        own."""
        step = self.stride if self.is_point else 1  # what lies between the strides of a point is not needed
        reach = self.dilation[axis] * (self.kernel[axis] - 1)
        return np.arange(0, (count - 1) * self.stride + reach + 1, step) - self.padding[axis]

    @property
    def is_point(self) -> bool:
        return self.kernel == (1, 1)

    @property
    def leaves(self) -> bool:
        """Whether the window may reach over the edge of the map."""
        return not self.is_point or self.padding != (0, 0)


def seen_through(window: Window, seen: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Returns the variables that each output cell sees, [*size] int64, if the input cells see `seen`, [H, W] int64."""
    for axis in (0, 1):  # a window is a rectangle: what its rows see, then what its columns see of that
        rows = np.moveaxis(seen, axis, 0)
        offsets = window.dilation[axis] * np.arange(window.kernel[axis])
        end = (size[axis] - 1) * window.stride + offsets[-1] + 1
        before = window.padding[axis]
        # Beyond the edge no variable is seen. Strides may end before the last row: then some rows are not used.
        padded = np.zeros((max(end, before + len(rows)), rows.shape[1]), np.int64)
        padded[before : before + len(rows)] = rows
        out = padded[: end - offsets[-1] : window.stride].copy()
        for offset in offsets[1:]:
            out |= padded[offset : end - offsets[-1] + offset : window.stride]
        seen = np.moveaxis(out, 0, axis)
    return np.ascontiguousarray(seen)


class Tiling:
    """A map of [H, W] cells in tiles of t x t; the last row and column of tiles may reach over its edge.

    variables: [tiles] int64, the variables that any cell of a tile sees; first: [tiles + 1], the first entry of each
    tile.
    """

    def __init__(self, seen: np.ndarray, t: int, n: int) -> None:
        self.size, self.t, self.n = seen.shape, t, n
        self.shape = tuple(-(-side // t) for side in seen.shape)
        if self.is_ragged:  # cells beyond the edge see nothing, so that they add no versions to their tile
            seen = np.pad(seen, [(0, tiles * t - side) for tiles, side in zip(self.shape, seen.shape, strict=True)])
        seen = np.bitwise_or.reduce(seen.reshape(self.shape[0], t, -1), axis=1)
        self.variables = np.bitwise_or.reduce(seen.reshape(self.shape[0], self.shape[1], t), axis=2).ravel()
        self.first = np.concatenate([[0], np.cumsum(1 << np.bitwise_count(self.variables).astype(np.int64))])

    @property
    def entries(self) -> int:
        return int(self.first[-1])

    @property
    def is_ragged(self) -> bool:
        return any(tiles * self.t != side for tiles, side in zip(self.shape, self.size, strict=True))

    @cached_property
    def tile(self) -> np.ndarray:
        """The tile of each entry, [entries]."""
        return np.repeat(np.arange(len(self.variables)), np.diff(self.first))

    @cached_property
    def kept(self) -> np.ndarray:
        """The variables that each entry keeps, as a bitmask of all n: [entries]."""
        members, which = self._members
        # A version is a bitmask of the tile's own variables, whose lowest bit is the first of them: its bit number
        # `rank` stands for that variable's bit among all n. Tiles with the same variables share a row of weights.
        weights = np.zeros(members.shape, np.int64)
        rows, variables = members.nonzero()
        weights[rows, _rank(members)[rows, variables]] = 1 << variables
        return _weigh(weights, which[self.tile], np.arange(self.entries) - self.first[self.tile])

    def entry(self, tile: np.ndarray, versions: np.ndarray, kept: np.ndarray) -> np.ndarray:
        """Returns the entries of tiles that keep the variables in `kept`; the number of entries for tile -1.

        tile: [K, P] int64; versions: [K], how many elements of `kept`, [sum of versions], belong to each row of `tile`.
        Returns [sum of versions, P] int32.
        """
        members, which = self._members
        # The reverse of `kept`: a variable's bit among all n stands for bit number `rank` of the version, and for
        # nothing in tiles that do not see it. Tile -1, beyond the edge, has a row of zeros; `first[-1]` is the number
        # of entries.
        weights = np.concatenate([members << _rank(members), np.zeros((1, self.n), np.int64)])
        # int32: these arrays are the largest of a plan. They hold less than 2**31, since the bytes of a map's entries
        # are limited to that, and an entry has several.
        first, row = self.first.astype(np.int32)[tile], np.append(which, len(members))[tile]
        first, row = np.repeat(first, versions, axis=0), np.repeat(row, versions, axis=0)
        return first + _weigh(weights, row, kept[:, None])

    @cached_property
    def _members(self) -> tuple[np.ndarray, np.ndarray]:
        """The variables of each distinct set, [sets, n] int64, and the set of each tile."""
        sets, which = np.unique(self.variables, return_inverse=True)
        return sets[:, None] >> np.arange(self.n) & 1, which


def _rank(members: np.ndarray) -> np.ndarray:
    """Returns how many variables of its set come before each variable."""
    return members.cumsum(1) - members


def _weigh(weights: np.ndarray, row: np.ndarray, bits: np.ndarray) -> np.ndarray:
    """Returns the sum of weights[row] over the set bits, int32, looked up in two tables of half of the bits each.

    One table of all n bits would be 2**n long and too large for the caches; a loop over the bits would take n passes.
    """
    half = (weights.shape[1] + 1) // 2
    low, high = _sums(weights[:, :half]), _sums(weights[:, half:])
    # Flat indices are faster than indices in two dimensions.
    return low.take((row << half) + (bits & ((1 << half) - 1))) + high.take(row * high.shape[1] + (bits >> half))


def _sums(weights: np.ndarray) -> np.ndarray:
    """Returns the sums over all subsets of the columns: [rows, 2**columns]."""
    sums = np.zeros((len(weights), 1), np.int32)
    for column in weights.T.astype(np.int32):
        sums = np.concatenate([sums, sums + column[:, None]], axis=1)
    return sums


@dataclass(frozen=True)
class Gather:
    """Where windows find their cells among the entries of a map.

    entries: [windows, P] int32, the entries that a window touches (one past the last: beyond the edge of the map);
    piece, cell: [h * w], in which of the P entries, and where inside it, each cell of a window lies; shape: (h, w).
    """

    entries: np.ndarray
    piece: np.ndarray
    cell: np.ndarray
    shape: tuple[int, int]

    def unfolded(self, window: Window, t: int) -> "Gather":
        """Returns the gather with the cells of t x t outputs one after the other, each as often as it is needed: [t, t,
        *kernel]."""
        # For a 1 x 1 window with a stride, only the needed cells have been gathered: they lie side by side.
        stride = 1 if window.is_point else window.stride
        y, x = (
            stride * np.arange(t)[:, None] + window.dilation[axis] * np.arange(window.kernel[axis]) for axis in (0, 1)
        )
        order = (y[:, None, :, None] * self.shape[1] + x[None, :, None, :]).ravel()
        return Gather(self.entries, self.piece[order], self.cell[order], (t * t, len(order) // t**2))


def gather(
    source: Tiling, corner: np.ndarray, versions: np.ndarray, kept: np.ndarray, rows: np.ndarray, columns: np.ndarray
) -> Gather:
    """Gathers the cells at `rows` x `columns`, relative to the first cell of the tiles at `corner`, [K, 2] (row,
    column).

    versions: [K], how many windows each corner has; kept: [sum of versions], the variables that each window keeps.
    """
    place, pieces = [], []
    for cells in (rows, columns):
        # Rounded down, before the corner as well: with t = 2, cells -1 to 2 lie in the pieces -1, 0, 0 and 1.
        piece = cells // source.t
        pieces.append(np.arange(piece[0], piece[-1] + 1))
        place.append((piece - piece[0], cells % source.t))
    # Windows of one size that begin where tiles begin have the same pieces and cells: only the tiles differ, and their
    # versions. So [windows, P] numbers are kept, not one for each cell.
    y, x = (corner[:, axis, None] + pieces[axis] for axis in (0, 1))
    inside = ((y >= 0) & (y < source.shape[0]))[:, :, None] & ((x >= 0) & (x < source.shape[1]))[:, None]
    tile = np.where(inside, y[:, :, None] * source.shape[1] + x[:, None], -1).reshape(len(corner), -1)
    (piece_y, cell_y), (piece_x, cell_x) = place
    return Gather(
        source.entry(tile, versions, kept),
        (piece_y[:, None] * len(pieces[1]) + piece_x).ravel(),
        (cell_y[:, None] * source.t + cell_x).ravel(),
        (len(rows), len(columns)),
    )


def is_whole(source: Tiling, window: Window, out: Tiling) -> bool:
    """Returns whether the windows of the entries of `out` are the entries of `source` as they are."""
    if out.t * window.stride != source.t or len(out.variables) != len(source.variables):
        return False
    sides = (window.cells(axis, out.t) for axis in (0, 1))
    return all(np.array_equal(cells, np.arange(source.t)) for cells in sides) and np.array_equal(
        out.variables, source.variables
    )


def windows(source: Tiling, window: Window, out: Tiling) -> Gather | None:
    """Returns the windows of all entries of `out` on `source`; None if they are its entries as they are.

    `out.t * window.stride` must be a multiple of `source.t`.
    """
    if is_whole(source, window, out):
        return None
    # An output tile's window begins (except for padding) at its first cell times the stride, which is where a tile
    # begins.
    tiles = np.stack(np.divmod(np.arange(len(out.variables)), out.shape[1]), axis=1)
    corner = tiles * (out.t * window.stride // source.t)
    return gather(source, corner, np.diff(out.first), out.kept, *(window.cells(axis, out.t) for axis in (0, 1)))
