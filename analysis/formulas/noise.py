"""The numerical noise of v: how large it is, how much rounding explains, and what it becomes in the interactions."""

import numpy as np

# The distance from 1 to the next number (numpy has no bfloat16).
EPSILON = {"float64": 2.0**-52, "float32": 2.0**-23, "float16": 2.0**-10, "bfloat16": 2.0**-7}
# Each layer rounds, and the next ones carry its errors on. Networks of 4 to 20 layers (benchmarks/noise.py) have an
# error of 1 to 13 epsilon of the largest v in float32, a resnet50 one of up to 50. A factor of 1024 leaves room for
# networks that are deeper or badly scaled: 1e-4 of v in float32. What is broken, such as a model whose output depends
# on the rest of its batch, is off by 1e-2 of v or more.
DEPTH = 1024
# In half precision 1024 epsilon are v itself or more. Errors are smaller there, 2 epsilon, for sums are kept in
# float32: 1/70 of v at most in those networks.
MOST = 1 / 16


def noise_of_values(v: np.ndarray, reference: np.ndarray) -> float:
    """Returns the root mean square of v - reference: the same masked inputs in the store's precision and in float64,
    [K] each."""
    return float(np.sqrt(np.square(v - reference).mean()))


def explained(v: np.ndarray, precision: str) -> float:
    """Returns the largest noise that rounding in this precision can make in values v, of any shape; in units of v."""
    return float(min(DEPTH * EPSILON[precision], MOST) * abs(v).max())


def noise_by_order(noise_v: float, n: int) -> np.ndarray:
    """Returns 2**(order/2) noise_v, [n + 1]: I(S) sums 2**|S| values, whose noise is taken as independent."""
    return noise_v * 2 ** (np.arange(n + 1) / 2)
