"""Spreads the evaluation over processes, each with its own device or its share of the cores.

Every process evaluates its share of the units (a checkpoint and a block of samples) and writes the values to the store
as parts; the main process joins the parts.
"""

import os
from collections.abc import Iterator
from contextlib import redirect_stdout
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

import torch
from omegaconf import DictConfig, OmegaConf

from checkpoints.roles import Checkpoint
from conf.errors import BadInput
from interactions.choice import Choice
from interactions.engine import Engines
from interactions.shards import Shards
from interactions.store import Store
from interactions.units import Unit
from interactions.units import evaluated as evaluated_here
from interactions.variables.sample_set import SampleSet
from models.device import device
from stages import signals
from stages.ending import ProcessLost, gone
from stages.progress import silence
from stages.space import is_no_space
from training.tasks import new_model


def evaluated(
    cfg: DictConfig, store: Store | Shards, checkpoints: list[Checkpoint], units: list[Unit], count: int
) -> Iterator[Unit]:
    """Evaluates the units in `count` processes and yields each unit as soon as its values are in the store.

    Raises the error of the first process that fails, and ProcessLost if one is killed.
    """
    settings, started = OmegaConf.to_yaml(cfg, resolve=True), {}
    try:
        for rank in range(count):
            share = (settings, store, checkpoints, rank, count, units[rank::count])
            answers, process = _started(share)
            started[answers] = process
        for _ in units:
            yield _next(started)
    finally:
        for process in started.values():
            process.terminate()
        for process in started.values():
            process.join(signals.PATIENCE)
            process.kill()  # a process that is still importing does not react to the signal
            process.join()


def _started(share: tuple) -> tuple[Connection, BaseProcess]:
    context = get_context("spawn")  # a forked process could not use the device
    answers, answer = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(*share, answer, os.getpid()), daemon=True)
    with signals.held():
        process.start()
    answer.close()  # in this process: then the pipe's last end closes when the process ends, which `_next` notices
    return answers, process


def _next(started: dict[Connection, BaseProcess]) -> Unit:
    while True:
        for answers in wait([answers for answers in started if not answers.closed]):
            try:
                answer = answers.recv()
            except EOFError:
                answers.close()
                started[answers].join()
                if code := started[answers].exitcode:
                    raise ProcessLost(gone("a process of interactions", code)) from None
                continue
            if isinstance(answer, Exception):
                raise answer
            return answer


def _work(
    settings: str,
    store: Store | Shards,
    checkpoints: list[Checkpoint],
    rank: int,
    count: int,
    units: list[Unit],
    answer: Connection,
    parent: int,
) -> None:
    signals.watch(first=False, parent=parent)
    silence()
    try:
        with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere):  # the parent has already printed these lines
            for unit in _share(OmegaConf.create(settings), store, checkpoints, rank, count, units):
                answer.send(unit)
    except Exception as error:
        passed = isinstance(error, BadInput) or is_no_space(error)
        kind = f"{type(error).__name__} in a process of interactions"
        answer.send(error if passed else RuntimeError(f"{kind}: {error}"))


def _share(
    cfg: DictConfig, store: Store | Shards, checkpoints: list[Checkpoint], rank: int, count: int, units: list[Unit]
) -> Iterator[Unit]:
    torch.set_num_threads(max(1, torch.get_num_threads() // count))
    model, splits = new_model(cfg, "probe", "target")
    where = _device(cfg.interactions.device, rank)
    about, masking = store.samples.read(), store.samples.baseline()
    sample_set = SampleSet.read(about, masking, splits, cfg.interactions.background, where)
    choices = {name: Choice(**choice) for name, choice in store.choices().items()}
    yield from evaluated_here(store, checkpoints, Engines(model, sample_set, cfg.interactions, choices), units)


def _device(name: str, rank: int) -> torch.device:
    """Returns the device of a process. If the machine has several accelerators, the processes are spread over them."""
    found = device(name)
    if name == "auto" and found.type == "cuda":
        return torch.device("cuda", rank % torch.cuda.device_count())
    return found
