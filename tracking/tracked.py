"""Opens the mirror of a result: what `logger` and `wandb` in the configuration ask for."""

from collections.abc import Iterator
from contextlib import contextmanager

from omegaconf import DictConfig

from stages.identity import Result
from stages.processes import is_first_process
from tracking.about import About, of_result
from tracking.tracker import Tracker


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


@contextmanager
def mirror(cfg: DictConfig, about: About) -> Iterator[Tracker]:
    """Yields the mirror of what `about` describes. The packages that write it take a second to import: only now."""
    if cfg.logger == "wandb":
        from tracking.wandb_runs import wandb_run

        with wandb_run(cfg.wandb, about) as tracker:
            yield tracker
    else:
        from tracking.loggers import logger_run

        with logger_run(cfg.logger, about) as tracker:
            yield tracker
