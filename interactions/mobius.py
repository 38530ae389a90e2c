"""The Moebius transform between values v and interactions I, as a butterfly of n passes.

Index = bitmask: entry T of v [..., 2**n] is v(x_T), bit i set where variable i is kept.

An example with n = 2: v = [1, 4, 3, 8] for the subsets {}, {0}, {1} and {0, 1}. The pass of variable 0 subtracts from
every entry with variable 0 the entry without it: [1, 3, 3, 5]. The pass of variable 1 does the same: [1, 3, 2, 2]. So
variable 0 alone adds 3 to the value, variable 1 alone adds 2, and both together add 2 more: 1 + 3 + 2 + 2 = 8. These
are n passes over 2**n numbers, while the definition has 3**n terms.
"""

import numpy as np


def interactions(v: np.ndarray) -> np.ndarray:
    """Returns I(S) = sum_{T <= S} (-1)^{|S|-|T|} v(x_T), Eq. 2 of arXiv 2410.08455.

    [..., 2**n] -> [..., 2**n] float64.
    """
    return _butterfly(v, np.subtract)


def values(interaction: np.ndarray) -> np.ndarray:
    """Returns v(x_T) = sum_{S <= T} I(S), the inverse (Eq. 4).

    [..., 2**n] -> [..., 2**n] float64.
    """
    return _butterfly(interaction, np.add)


def variables(entries: np.ndarray) -> int:
    """Returns n of an array [..., 2**n]. Raises ValueError for another length."""
    length = entries.shape[-1]
    if length == 0 or length & (length - 1):  # a power of two has one bit
        raise ValueError(f"the last axis has {length} entries, not 2**n")
    return length.bit_length() - 1


def orders(n: int) -> np.ndarray:
    """Returns |S| of every subset, [2**n] int."""
    return np.bitwise_count(np.arange(2**n)).astype(np.int64)


def _butterfly(entries: np.ndarray, combine: np.ufunc) -> np.ndarray:
    """Combines, for each bit, every entry that has it with the entry that lacks it.

    Inside this function an array is [2**n, batch]: the inner loops of low bits are then as long as the batch. In
    [batch, 2**n] they would be 2**bit long, which takes up to twice as long for 8 vectors or more.
    """
    n, entries = variables(entries), np.asarray(entries)
    # float64: the error of a value in I(S) grows as 2**(|S|/2), and rounding in the transform should not add to it.
    out = np.array(entries.reshape(-1, 2**n).T, dtype=np.float64, order="C")
    for bit in range(n):
        pairs = out.reshape(2 ** (n - 1 - bit), 2, -1)  # a view: out is contiguous
        combine(pairs[:, 1], pairs[:, 0], out=pairs[:, 1])
    return np.ascontiguousarray(out.T).reshape(entries.shape)
