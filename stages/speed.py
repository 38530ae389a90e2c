"""Changes two default settings of libraries that make a CPU slow, before the first of these libraries is imported.

Freed memory goes back to the system, and the next forward pass fetches it again, page by page: glibc gives back any
block above 32 MB at once, and activations are larger. If it keeps this memory, forward passes on a CPU are 1.4 to 2
times faster. In return, a process stays as large as it once was.

Threads that wait for each other use their cores (OpenMP lets them spin, so that they notice sooner when work goes on).
If other processes need the same cores, such as a second run on this machine, waiting threads take them from working
ones, and small training steps become several times slower. If they sleep instead, small steps take up to a fifth longer
when the machine has no other work (benchmarks/two_runs.csv). The number of threads is not changed.

What the user has set in the environment stays. These settings hold for all processes that this one starts.
"""

import ctypes
import os

MMAP_THRESHOLD, TRIM_THRESHOLD, MMAP_MAX = -3, -1, -4  # options of mallopt, in malloc.h
KEEP = {
    "MALLOC_MMAP_THRESHOLD_": (str(2**31 - 1), MMAP_THRESHOLD, 2**31 - 1),  # bytes; mallopt takes an int
    "MALLOC_TRIM_THRESHOLD_": (str(2**40), TRIM_THRESHOLD, -1),  # never
}


def prepare() -> None:
    """Sets both; it has to be called before torch is imported."""
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    mallopt = _mallopt()
    for variable, (text, option, value) in KEEP.items():
        if variable not in os.environ:
            os.environ[variable] = text  # later processes read it when they start
            if not mallopt(option, value) and option == MMAP_THRESHOLD:  # older versions refuse it as too large
                mallopt(MMAP_MAX, 0)


def _mallopt() -> object:
    """Returns glibc's mallopt; without glibc, a function that does nothing."""
    try:
        return ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return lambda option, value: 1
