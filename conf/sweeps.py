"""Handles the jobs of a sweep, as Hydra composes them: the settings in which they differ, their number, and their
errors.

Hydra composes the configurations of all jobs before the first one begins, and refuses the whole sweep if one of them is
invalid (model=conv4,nonsense). Here such a job gets the configuration of the sweep without its own settings, and with
the reason for its refusal, which is reported when its turn comes: the other jobs still run.
"""

import warnings
from collections.abc import Sequence
from contextlib import suppress

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from conf.errors import BadInput
from conf.refusals import is_refused, refusal

REFUSED = "STUDY_REFUSED"  # in hydra.job.env_set of a job: the reason


class JobByJob(ConfigLoaderImpl):
    def load_sweep_config(self, master_config: DictConfig, sweep_overrides: Sequence[str]) -> DictConfig:
        try:
            return super().load_sweep_config(master_config, list(sweep_overrides))
        except Exception as error:
            if not is_refused(error):
                raise
            why = str(refusal(error, sweep_overrides))
        cfg = super().load_sweep_config(master_config, [])
        with read_write(cfg.hydra), open_dict(cfg.hydra):
            cfg.hydra.overrides.task = list(sweep_overrides)
            cfg.hydra.job.env_set[REFUSED] = why
        return cfg


def one_by_one(key: str, *, _root_: DictConfig) -> str:
    """Returns the values of a sweep over the epochs at `key`: 1,5,200 for [1, 5, 200]; `last` if all are kept. For
    experiments that are sweeps: start.epoch: ${swept:checkpoints.epochs}. Where Hydra shows its own part of the
    configuration alone (--cfg hydra --resolve), there is no such key, and its name is returned."""
    epochs = OmegaConf.select(_root_, key, default=key)
    return "last" if epochs == "all" else epochs if isinstance(epochs, str) else ",".join(map(str, epochs))


OmegaConf.register_new_resolver("swept", one_by_one, replace=True)  # here, as launchers' jobs do not import run.py
# Hydra merges our preset of this name with the plugin's, as it should, and warns of that.
warnings.filterwarnings("ignore", r"\s*'hydra/launcher/joblib' is validated")


def refuse_job_by_job() -> None:
    """Makes Hydra refuse single jobs instead of the whole sweep.

    Call it before the sweep composes its jobs; it also holds in the processes of a launcher.
    """
    GlobalHydra.instance().config_loader().__class__ = JobByJob


def check_composed(job: DictConfig) -> None:
    """Raises BadInput if the job's own settings could not be composed, or if they ask for another sweep.

    job: Hydra's part of a job's configuration.
    """
    if why := job.job.env_set.get(REFUSED):
        raise BadInput(why)
    given = {word.partition("=")[0] for word in job.overrides.task}
    if inner := [f"{key}={values}" for key, values in of_experiment(job).items() if key not in given]:
        raise BadInput(f"the experiment is a sweep itself, over {', '.join(inner)}: start it with a command of its own")


def swept(hydra: DictConfig) -> tuple[list[str], int | None]:
    """Returns the keys that differ between the jobs of a sweep, and the number of jobs; None if it is not known in
    advance."""
    words = [f"{key}={values}" for key, values in of_experiment(hydra).items()]
    last, parser = {}, OverridesParser.create(config_loader=GlobalHydra.instance().config_loader())
    with suppress(HydraException):  # the sweeper itself reports the error
        for override in parser.parse_overrides(words + list(hydra.overrides.task)):
            last[override.get_key_element()] = override
    several = {key: override for key, override in last.items() if override.is_sweep_override()}
    plain = all(override.is_discrete_sweep() for override in several.values())
    if not plain or hydra.sweeper.get("_target_", "").rpartition(".")[2] != BasicSweeper.__name__:
        return list(several), None
    count = 1
    for override in several.values():
        count *= len(list(override.sweep_string_iterator()))
    return list(several), count


def of_experiment(hydra: DictConfig) -> DictConfig | dict:
    """Returns what an experiment sweeps over."""
    return hydra.sweeper.get("params") or {}
