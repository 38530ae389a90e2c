"""Opens the mirror of a result: what `logger` and `wandb` in the configuration ask for."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from importlib import import_module

from omegaconf import DictConfig

from stages.identity import Result
from stages.processes import is_first_process
from tracking.about import About, of_result
from tracking.tracker import Tracker

KEEPERS = {"wandb": "tracking.wandb_runs", "tensorboard": "tracking.loggers", "csv": "tracking.loggers"}


@contextmanager
def tracked(cfg: DictConfig, result: Result) -> Iterator[Tracker]:
    """Yields the mirror of a result, one for each attempt, however often that is interrupted."""
    if not is_first_process() or is_off(cfg):
        yield Tracker()
        return
    with mirror(cfg, of_result(cfg, result)) as tracker:
        yield tracker


def is_off(cfg: DictConfig) -> bool:
    return cfg.logger == "wandb" and cfg.wandb.mode == "disabled"


def mirror(cfg: DictConfig, about: About) -> AbstractContextManager[Tracker]:
    """Returns the mirror of what `about` describes. What writes it takes seconds to import: only now, by its name."""
    return import_module(KEEPERS[cfg.logger]).opened(cfg, about)
