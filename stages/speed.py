"""Two habits of libraries that make a CPU slow, and are changed before the first of them is imported.

Memory that is freed goes back to the system, and the next forward pass fetches it anew, page by page: glibc gives back
any block above 32 MB at once, and activations are larger. Told to keep what it has, it makes forward passes on a CPU
1.4 to 2 times faster. The price is that a process stays as large as it once was.

Threads that wait for each other compute (OpenMP lets them spin, to notice sooner that it goes on). Where others want
the same cores, such as a second run on this machine, they take them from whoever has work to do, and small training
steps become several times slower. Told to sleep, they lose next to nothing where nobody else is there. How many threads
there are is left as it is.

What the user has set in the environment stays. What is set here holds for all processes that this one starts.
"""

import ctypes
import os

MMAP_THRESHOLD, TRIM_THRESHOLD, MMAP_MAX = -3, -1, -4  # options of mallopt, in malloc.h
KEEP = {
    "MALLOC_MMAP_THRESHOLD_": (str(2**31 - 1), MMAP_THRESHOLD, 2**31 - 1),  # bytes; mallopt takes an int
    "MALLOC_TRIM_THRESHOLD_": (str(2**40), TRIM_THRESHOLD, -1),  # never
}


def prepare() -> None:
    """To be called before torch is imported."""
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    mallopt = _mallopt()
    for variable, (text, option, value) in KEEP.items():
        if variable not in os.environ:
            os.environ[variable] = text  # read when a process starts: by those to come
            if not mallopt(option, value) and option == MMAP_THRESHOLD:  # refused as too large by older ones
                mallopt(MMAP_MAX, 0)


def _mallopt() -> object:
    """That of glibc; elsewhere nothing happens."""
    try:
        return ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return lambda option, value: 1
