"""Evaluates units (a checkpoint and a block of samples) in this process; disk and device do not wait for each other.

The next checkpoint's weights are read while the current one is evaluated. The next block is computed while the values
of the last one are fetched from the device, compared with plain forward passes and written.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import torch

from checkpoints.roles import Checkpoint, Weights
from conf.errors import BadInput
from interactions.engine import Engine, Engines
from interactions.shards import Shards
from interactions.store import Store
from interactions.verify import LEAST, Budget, Check, Verifier, drawn

Unit = tuple[int, range]  # number of the checkpoint among all; block of samples


class Computed(NamedTuple):
    """Values of a unit, on their way to the CPU. plain: [K, 2], what `Engine.alone` gives for the K checks."""

    number: int
    block: range
    v: torch.Tensor
    checks: list[Check]
    plain: torch.Tensor
    arrived: torch.cuda.Event | None


def evaluated(
    store: Store | Shards, checkpoints: list[Checkpoint], engines: Engines, units: list[Unit]
) -> Iterator[Unit]:
    """Yields each unit as soon as its values are in the store. Raises BadInput if they are not those of plain forward
    passes."""
    budget, verifier = Budget(engines.network), Verifier(engines.network.dtype)
    # Each unit is fetched, compared and written only after the next one was handed to the device.
    waiting = None
    for number, states, blocks in _read_ahead(checkpoints, units):
        checkpoint, engine = checkpoints[number], engines.of(checkpoints[number])
        engine.load(checkpoint, states)
        for block in blocks:
            computed = _computed(engine, checkpoint, number, block, budget.count(LEAST if block == blocks[0] else 0))
            if waiting:
                if _check(store, checkpoints, engines, verifier, waiting):
                    engine.load(checkpoint, states)  # the check has loaded other weights
                yield _stored(store, checkpoints, waiting)
            waiting = computed
    if waiting:
        _check(store, checkpoints, engines, verifier, waiting)
        yield _stored(store, checkpoints, waiting)


def _computed(engine: Engine, checkpoint: Checkpoint, number: int, block: range, count: int) -> Computed:
    """Computes a unit without waiting for the device."""
    v, checks = engine.block(block), drawn(checkpoint, block, count, engine.sample_set.n)
    plain = torch.stack([engine.alone(check.sample, check.subset) for check in checks]) if checks else v.new_empty(0, 2)
    if not v.is_cuda:
        return Computed(number, block, v.cpu(), checks, plain.cpu(), None)
    # The copies are only requested; the event tells when they have arrived. Until then their memory is undefined.
    v, plain = (part.to("cpu", non_blocking=True) for part in (v, plain))
    return Computed(number, block, v, checks, plain, torch.cuda.current_stream(engine.sample_set.device).record_event())


def _check(
    store: Store | Shards, checkpoints: list[Checkpoint], engines: Engines, verifier: Verifier, computed: Computed
) -> bool:
    """Checks the values and returns whether this loaded other weights.

    Raises BadInput, and removes the checkpoint's values so far, if values are not those of plain forward passes.
    """
    if computed.arrived:
        computed.arrived.synchronize()
    v, plain, first = computed.v.numpy(), computed.plain.numpy(), computed.block[0]
    suspects = verifier.suspects(v, first, computed.checks, plain)
    checkpoint = checkpoints[computed.number]
    engine = engines.of(checkpoint)
    for check in suspects:
        engine.load(checkpoint, checkpoint.read())
        try:
            seen = plain[computed.checks.index(check)]
            verifier.judge(engine, checkpoint, check, v[check.sample - first, check.subset], seen)
        except BadInput:
            # Earlier blocks are wrong too, even if no check has found that: a resumed run must not keep them.
            store.discard(checkpoint.epoch)
            raise
    return bool(suspects)


def _stored(store: Store | Shards, checkpoints: list[Checkpoint], computed: Computed) -> Unit:
    checkpoint = checkpoints[computed.number]
    store.write_part(checkpoint.epoch, computed.block, computed.v.numpy())
    return computed.number, computed.block


def _read_ahead(checkpoints: list[Checkpoint], units: list[Unit]) -> Iterator[tuple[int, Weights, list[range]]]:
    """Yields each checkpoint's number with its weights and blocks, and reads the next one's weights meanwhile."""
    numbers = list(dict.fromkeys(number for number, _ in units))
    with ThreadPoolExecutor(1) as reader:
        following = [reader.submit(checkpoints[number].read) for number in numbers[:1]]
        # Only one is read ahead: so at most two checkpoints are in memory at a time.
        for place, number in enumerate(numbers):
            states = following.pop().result()
            following += [reader.submit(checkpoints[after].read) for after in numbers[place + 1 : place + 2]]
            yield number, states, [block for owner, block in units if owner == number]
