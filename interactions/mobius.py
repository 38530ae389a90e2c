"""The Moebius transform between values v and interactions I, as a butterfly of n passes.

Index = bitmask: entry T of v [..., 2**n] is v(x_T), bit i set where variable i is kept.
"""

import numpy as np


def interactions(v: np.ndarray) -> np.ndarray:
    """I(S) = sum_{T <= S} (-1)^{|S|-|T|} v(x_T), Eq. 2 of arXiv 2410.08455. [..., 2**n] -> [..., 2**n] float64."""
    return _butterfly(v, np.subtract)


def values(interaction: np.ndarray) -> np.ndarray:
    """v(x_T) = sum_{S <= T} I(S), the inverse (Eq. 4). [..., 2**n] -> [..., 2**n] float64."""
    return _butterfly(interaction, np.add)


def variables(entries: np.ndarray) -> int:
    """n, of an array [..., 2**n]. Raises ValueError for another length."""
    length = entries.shape[-1]
    if length == 0 or length & (length - 1):
        raise ValueError(f"the last axis has {length} entries, not 2**n")
    return length.bit_length() - 1


def orders(n: int) -> np.ndarray:
    """|S| of every subset, [2**n] int."""
    return np.bitwise_count(np.arange(2**n)).astype(np.int64)


def _butterfly(entries: np.ndarray, combine: np.ufunc) -> np.ndarray:
    """For each bit: combines every entry that has it with the entry that lacks it.

    Inside, an array is [2**n, batch]: there the inner loops of low bits are as long as the batch, in [batch, 2**n] they
    would be 2**bit long, which takes up to twice as long for 8 vectors or more.
    """
    n, entries = variables(entries), np.asarray(entries)
    out = np.array(entries.reshape(-1, 2**n).T, dtype=np.float64, order="C")
    for bit in range(n):
        pairs = out.reshape(2 ** (n - 1 - bit), 2, -1)  # a view: out is contiguous
        combine(pairs[:, 1], pairs[:, 0], out=pairs[:, 1])
    return np.ascontiguousarray(out.T).reshape(entries.shape)
