"""Evaluates pairs of a checkpoint and a block of samples, in this process: neither disk nor device waits for the other.

The next checkpoint's weights are read while one is evaluated, and the next block is computed while values are fetched
from the device and written.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import torch

from interactions.checkpoints import Checkpoint, Weights
from interactions.engine import Engine
from interactions.store import Store

Pair = tuple[int, range]  # number of the checkpoint among all; block of samples


def evaluated(store: Store, units: list[Checkpoint], engine: Engine, pairs: list[Pair]) -> Iterator[Pair]:
    """Gives each pair when its values are in the store."""
    waiting = None
    for number, states, blocks in _read_ahead(units, pairs):
        engine.load(units[number], states)
        for block in blocks:
            computed = number, block, *_fetched(engine.block(block))
            if waiting:
                yield _stored(store, units, *waiting)
            waiting = computed
    if waiting:
        yield _stored(store, units, *waiting)


def _fetched(v: torch.Tensor) -> tuple[torch.Tensor, torch.cuda.Event | None]:
    """v, on its way to the CPU, and the event of its arrival: later work on the device is not waited for."""
    if not v.is_cuda:
        return v.cpu(), None
    return v.to("cpu", non_blocking=True), torch.cuda.current_stream(v.device).record_event()


def _stored(
    store: Store, units: list[Checkpoint], number: int, block: range, v: torch.Tensor, arrived: torch.cuda.Event | None
) -> Pair:
    if arrived:
        arrived.synchronize()
    store.write_part(units[number].stage, units[number].epoch, block, v.numpy())
    return number, block


def _read_ahead(units: list[Checkpoint], pairs: list[Pair]) -> Iterator[tuple[int, Weights, list[range]]]:
    """Each checkpoint with its weights and blocks."""
    numbers = list(dict.fromkeys(number for number, _ in pairs))
    with ThreadPoolExecutor(1) as reader:
        following = [reader.submit(units[number].read) for number in numbers[:1]]
        for place, number in enumerate(numbers):
            states = following.pop().result()
            following += [reader.submit(units[after].read) for after in numbers[place + 1 : place + 2]]
            yield number, states, [block for owner, block in pairs if owner == number]
