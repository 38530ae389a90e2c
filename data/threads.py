"""Works on many files at once."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item, Made = TypeVar("Item"), TypeVar("Made")
TOGETHER = 64  # items that a thread takes at once: one at a time, handing out a million could take longer than the work


def in_threads(work: Callable[[Item], Made], items: Sequence[Item]) -> Iterator[Made]:
    """Yields work(item) of each item, in order. A caller that stops early, also by Ctrl-C, need not wait for the
    rest."""
    parts = [items[start : start + TOGETHER] for start in range(0, len(items), TOGETHER)]
    threads = ThreadPoolExecutor()  # decoders and disks release the lock of the interpreter
    try:
        for made in threads.map(lambda part: [work(item) for item in part], parts):
            yield from made
    finally:
        threads.shutdown(wait=False, cancel_futures=True)
