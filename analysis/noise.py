"""How large the numerical noise of v is, how much of it rounding explains, and what it becomes in the interactions."""

import numpy as np

# The distance from 1 to the next number (numpy has no bfloat16).
EPSILON = {"float64": 2.0**-52, "float32": 2.0**-23, "float16": 2.0**-10, "bfloat16": 2.0**-7}
# Each layer rounds, and the errors of one are carried through the next. Measured on networks of 4 to 50 layers
# (benchmarks/noise.py), v is off by 2 to 15 epsilon in float32 and by up to 3 in half precision, where sums are kept in
# float32; resnet50's largest error is 50. A factor of 1024 leaves room for networks 20 times as deep, or as badly
# scaled: 1e-4 of v in float32. What is broken, such as a model whose output depends on the rest of its batch, is off by
# 1e-2 of v or more.
DEPTH = 1024
# In half precision 1024 epsilon are as much as v itself. No network measured is off by more than 1/50 there.
MOST = 1 / 16


def noise_of_values(v: np.ndarray, reference: np.ndarray) -> float:
    """Root mean square of v - reference, the same masked inputs in the store's precision and in float64: [K] each."""
    return float(np.sqrt(np.square(v - reference).mean()))


def explained(v: np.ndarray, precision: str) -> float:
    """The most noise that rounding in this precision can make of values v, of any shape; in units of v."""
    return float(min(DEPTH * EPSILON[precision], MOST) * abs(v).max())


def noise_by_order(noise_v: float, n: int) -> np.ndarray:
    """2**(order/2) noise_v, [n + 1]: I(S) sums 2**|S| values; an estimate, as if their noise were independent."""
    return noise_v * 2 ** (np.arange(n + 1) / 2)
