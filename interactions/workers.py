"""Spreads the evaluation over processes, each with a device or a share of the cores of its own.

Every process takes its share of the (checkpoint, block of samples) units and leaves values where the store keeps them
while the evaluation goes on; the process that was started first joins them.
"""

import os
import queue
from collections.abc import Iterator
from contextlib import redirect_stdout
from multiprocessing import Queue, get_context

import torch
from omegaconf import DictConfig, OmegaConf

from checkpoints.roles import Checkpoint
from conf.errors import BadInput
from interactions.engine import Choice, Engines
from interactions.store import Store
from interactions.units import Unit
from interactions.units import evaluated as evaluated_here
from interactions.variables.sample_set import SampleSet
from models.device import device
from stages.progress import silence
from training.tasks import new_model


def evaluated(
    cfg: DictConfig, store: Store, checkpoints: list[Checkpoint], units: list[Unit], count: int
) -> Iterator[Unit]:
    """Has `count` processes evaluate the units; gives each when its values are in the store.

    Raises what the first of them to fail raised.
    """
    context = get_context("spawn")  # a forked process could not use the device
    done, settings = context.Queue(), OmegaConf.to_yaml(cfg, resolve=True)
    processes = [
        context.Process(
            target=_work, args=(settings, store, checkpoints, rank, count, units[rank::count], done), daemon=True
        )
        for rank in range(count)
    ]
    for process in processes:
        process.start()
    try:
        for _ in units:
            yield _next(done, processes)
    finally:
        for process in processes:
            process.terminate()
            process.join()


def _next(done: Queue, processes: list) -> Unit:
    while True:
        try:
            answer = done.get(timeout=1)
        except queue.Empty:
            ended = [process.exitcode for process in processes if process.exitcode not in (None, 0)]
            if ended:
                raise RuntimeError(f"a process of interactions ended with exit code {ended[0]}") from None
            continue
        if isinstance(answer, Exception):
            raise answer
        return answer


def _work(
    settings: str,
    store: Store,
    checkpoints: list[Checkpoint],
    rank: int,
    count: int,
    units: list[Unit],
    done: Queue,
) -> None:
    parent = os.getppid()
    silence()
    try:
        with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere):  # of the data, the parent has said it already
            for unit in _share(OmegaConf.create(settings), store, checkpoints, rank, count, units):
                if os.getppid() != parent:  # it was killed
                    return
                done.put(unit)
    except BadInput as error:
        done.put(error)
    except Exception as error:
        done.put(RuntimeError(f"{type(error).__name__} in a process of interactions: {error}"))


def _share(
    cfg: DictConfig, store: Store, checkpoints: list[Checkpoint], rank: int, count: int, units: list[Unit]
) -> Iterator[Unit]:
    torch.set_num_threads(max(1, torch.get_num_threads() // count))
    model, splits = new_model(cfg, "probe", "target")
    where = _device(cfg.interactions.device, rank)
    about, masking = store.samples.read(), store.samples.baseline()
    sample_set = SampleSet.read(about, masking, splits, cfg.interactions.background, where)
    choices = {name: Choice(**choice) for name, choice in store.choices().items()}
    yield from evaluated_here(store, checkpoints, Engines(model, sample_set, cfg.interactions, choices), units)


def _device(name: str, rank: int) -> torch.device:
    """Where there are several accelerators, each process has its own."""
    found = device(name)
    if name == "auto" and found.type == "cuda":
        return torch.device("cuda", rank % torch.cuda.device_count())
    return found
