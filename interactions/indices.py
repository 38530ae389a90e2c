"""Other indices of how variables act together, from the Moebius interactions I: exact, without another masked input.

I(S) belongs to the variables of S together. The indices share it among them: each subset T of S gets a part of I(S)
that depends on |S| and |T| alone,

    index(T) = sum_{S >= T} part(|S|, |T|) I(S)

    Shapley value         1/|S|              of one variable: its gain, mean over all orders of adding variables
    Banzhaf value         2^(1-|S|)          of one variable: its gain, mean over all subsets of the others
    Shapley interaction   1/(|S|-|T|+1)      the gain of T as a whole
    k-SII                 see below          the same, changed so that all T up to an order add up to v(x_N)
    Shapley-Taylor        1/C(|S|, order)    of the highest order; below it each T has I(T) alone
    Walsh                 (-1)^|T| 2^-|S|    the Fourier coefficients of v

For example, I = [1, 3, 2, 2] of two variables: the Shapley values are 3 + 2/2 = 4 and 2 + 2/2 = 3, which add up to
v(x_N) - v(x_0) = 7.

All arrays are float64 [..., 2**n], or [..., n] for values of single variables; index = bitmask, bit i is variable i; in
the unit of I. An array whose last axis is not 2**n long, or an order outside of 1 to n, raises ValueError.
"""

from collections.abc import Callable
from math import comb

import numpy as np
from scipy.special import bernoulli

from interactions.mobius import orders, values, variables


def shapley(interaction: np.ndarray) -> np.ndarray:
    """Returns phi_i = sum_{S with i} I(S) / |S|: [..., 2**n] -> [..., n] (Shapley, 1953; Harsanyi, 1963).

    They add up to v(x_N) - v(x_0); a variable that changes no value has 0.
    """
    return _of_variables(interaction, 1 / np.maximum(orders(variables(interaction)), 1))


def banzhaf(interaction: np.ndarray) -> np.ndarray:
    """Returns beta_i = sum_{S with i} 2^(1-|S|) I(S), the mean of v(x_{T and i}) - v(x_T) over all subsets T of the
    other variables: [..., 2**n] -> [..., n] (Banzhaf, 1965)."""
    return _of_variables(interaction, 2.0 ** (1 - orders(variables(interaction))))


def shapley_interaction(interaction: np.ndarray, order: int) -> np.ndarray:
    """Returns SII(T) = sum_{S >= T} I(S) / (|S| - |T| + 1) for 1 <= |T| <= order, 0 for all others: [..., 2**n] twice
    (Grabisch and Roubens, 1999). The empty set has none, so that they do not add up to v(x_N)."""
    return _shared_out(interaction, order, lambda size, part: 1 / (size - part + 1) if part else 0.0)


def k_sii(interaction: np.ndarray, order: int) -> np.ndarray:
    """Returns k-SII(T) = sum_{S >= T, |S| <= order} B_{|S|-|T|} SII(S) with Bernoulli's numbers B (B_1 = -1/2) for 1 <=
    |T| <= order, v(x_0) for the empty set, 0 above: [..., 2**n] twice (Bordt and von Luxburg, arXiv 2209.04012).

    All add up to v(x_N). With order 1 they are the Shapley values, with order n the interactions themselves.
    """
    known = bernoulli(variables(interaction))

    def part(size: int, small: int) -> float:  # what SII gives to the sets between T and S, handed on to T
        between = range(min(order, size) - small + 1)
        return sum(comb(size - small, more) * known[more] / (size - small - more + 1) for more in between)

    return _shared_out(interaction, order, lambda size, small: part(size, small) if small else float(size == 0))


def shapley_taylor(interaction: np.ndarray, order: int) -> np.ndarray:
    """Returns I(T) for |T| < order, sum_{S >= T} I(S) / C(|S|, order) for |T| = order, and 0 above: [..., 2**n] twice
    (Sundararajan, Dhamdhere and Agarwal, arXiv 1902.05622). All add up to v(x_N)."""
    return _shared_out(
        interaction, order, lambda size, part: 1 / comb(size, order) if part == order else float(size == part)
    )


def walsh(interaction: np.ndarray) -> np.ndarray:
    """Returns the Fourier coefficients of v, F(T) = 2^-n sum_S (-1)^{|S and T|} v(x_S): [..., 2**n] twice (O'Donnell,
    arXiv 2105.10386).

    So v(x_S) = sum_T (-1)^{|S and T|} F(T), and mean_S v(x_S)^2 = sum_T F(T)^2 (Parseval). Sign and scale are those of
    shapiq: a variable that raises v has a negative F of its own, -1/2 of its Banzhaf value.
    """
    order = orders(variables(interaction))
    return (-1.0) ** order * _over_supersets(interaction * 0.5**order)


def _of_variables(interaction: np.ndarray, part: np.ndarray) -> np.ndarray:
    """Returns sum_{S with i} part(S) I(S) of each variable: [..., 2**n] -> [..., n]; part: [2**n]."""
    n = variables(interaction)
    members = np.arange(2**n)[:, None] >> np.arange(n) & 1
    return interaction @ (part[:, None] * members)


def _shared_out(interaction: np.ndarray, order: int, part: Callable[[int, int], float]) -> np.ndarray:
    """Returns sum_{S >= T} part(|S|, |T|) I(S) for |T| <= order, 0 for all others: one pass for each |S|."""
    n, sizes, found = variables(interaction), orders(variables(interaction)), np.zeros(interaction.shape)
    if not 1 <= order <= n:
        raise ValueError(f"order={order} is not allowed: 1 to {n} are, for {n} variables")
    for size in range(n + 1):
        parts = np.array([part(size, small) if small <= min(size, order) else 0.0 for small in range(n + 1)])
        if parts.any():
            found += parts[sizes] * _over_supersets(np.where(sizes == size, interaction, 0.0))
    return found


def _over_supersets(entries: np.ndarray) -> np.ndarray:
    """Returns sum_{S >= T} of the entries: supersets of T are subsets, counted from the other end."""
    return values(entries[..., ::-1])[..., ::-1]
