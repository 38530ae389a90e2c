"""Keeps a run of a sweep that trains on several devices apart from the run before it and the one after it.

For each further device Lightning starts the command of this process once more, and sets an environment that it later
takes as a sign that these processes exist. Unchanged, further processes would run the whole sweep, and the next run
would wait for those of this one. So while a run lasts, the command is that of this run alone, and afterwards command
and environment are restored.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from hydra._internal.utils import get_args_parser
from omegaconf import DictConfig

OF_A_SWEEP = ("hydra.mode=", "hydra.sweep.dir=", "hydra/launcher=", "hydra.launcher.")
RENDEZVOUS = ("MASTER_ADDR", "MASTER_PORT", "NODE_RANK", "LOCAL_RANK", "WORLD_SIZE")


@contextmanager
def alone(hydra: DictConfig) -> Iterator[None]:
    """Runs the body as a run of its own. hydra: its part of a job's configuration."""
    command, sys.argv = sys.argv, own_command(sys.argv, hydra)
    before = {name: os.environ.get(name) for name in RENDEZVOUS}
    try:
        yield
    finally:
        sys.argv = command
        _part()
        for name, value in before.items():
            os.environ.pop(name, None) if value is None else os.environ.update({name: value})


def own_command(command: list[str], hydra: DictConfig) -> list[str]:
    """Returns the command of a single run of this sweep."""
    given = get_args_parser().parse_known_args(command[1:])[0].overrides
    flags = [word for word in command[1:] if word not in (*given, "-m", "--multirun")]
    of_hydra = [word for word in hydra.overrides.hydra if not word.lstrip("+").startswith(OF_A_SWEEP)]
    return [command[0], *flags, *hydra.overrides.task, *of_hydra, "hydra.mode=RUN"]


def _part() -> None:
    """Ends PyTorch's connection to the other processes, if it is imported."""
    distributed = sys.modules.get("torch.distributed")
    if distributed and distributed.is_available() and distributed.is_initialized():
        distributed.destroy_process_group()
