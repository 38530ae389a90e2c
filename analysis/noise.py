"""What the numerical noise of v becomes in the interactions."""

import numpy as np


def noise_of_values(v: np.ndarray, reference: np.ndarray) -> float:
    """Root mean square of v - reference, the same masked inputs in the store's precision and in float64: [K] each."""
    return float(np.sqrt(np.square(v - reference).mean()))


def noise_by_order(noise_v: float, n: int) -> np.ndarray:
    """2**(order/2) noise_v, [n + 1]: I(S) sums 2**|S| values; an estimate, as if their noise were independent."""
    return noise_v * 2 ** (np.arange(n + 1) / 2)
