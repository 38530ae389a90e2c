"""A run as composed by Hydra: checked, with the folder where it lies and what was chosen for it.

`run.py` prepares the run that it was asked for, and `cluster/` each run of a study, here or on another machine.
"""

from pathlib import Path

from hydra import compose
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from conf import schema
from conf.check import check, check_length
from conf.sources import named_source
from conf.sweeps import one_by_one
from stages import table
from stages.differences import chosen as chosen_settings
from stages.view import check_layout, run_folder

SAME = ("experiment", "debug")  # groups whose options are the experiment itself
PLACES = ("cluster",)  # groups that say where a run is computed, and not what


def register() -> None:
    """Makes known to Hydra what conf/ uses; it has to be called before anything is composed."""
    schema.register()
    OmegaConf.register_new_resolver("stages", table.described, replace=True)  # in the text of --help
    OmegaConf.register_new_resolver("swept", one_by_one, replace=True)  # in experiments that are sweeps


def prepared(cfg: DictConfig) -> dict[str, dict]:
    """Checks a run's configuration and sets its run_dir. Returns the content of its chosen.json (stages/view.py).

    Hydra's own part of the configuration must be set as HydraConfig. Raises BadInput.
    """
    source = named_source(cfg)
    check(cfg)
    own, chosen = own_settings()
    if source and own.data.source != cfg.data.source:  # treat the name like an option of a group
        own.data.source, chosen["data.source"] = cfg.data.source, source
    cfg.run_dir = str(run_folder(cfg, own, chosen))
    check_length(cfg)
    check_layout(Path(cfg.output), Path(cfg.run_dir))
    return chosen_settings(cfg, own, _choices(HydraConfig.get()) | chosen)


def own_settings() -> tuple[DictConfig, dict[str, str]]:
    """Returns the experiment's own configuration, but with the options that were chosen instead of its own; and these
    options."""
    hydra = HydraConfig.get()
    choices = _choices(hydra)
    same = [word for word in hydra.overrides.hydra if word.startswith("hydra.searchpath=")]
    same += [_override(group, choices.get(group)) for group in SAME]
    usual = _choices(compose("config", same, return_hydra_config=True).hydra)
    chosen = {group: option for group, option in choices.items() if group not in SAME and usual.get(group) != option}
    overrides = same + [_override(*choice) for choice in chosen.items() if "@" not in choice[0]]
    there = _choices(compose("config", overrides, return_hydra_config=True).hydra)
    # Such as source@data.source, which some data already have; for others it is added with a +.
    packages = ["+" * (group not in there) + _override(group, chosen[group]) for group in chosen if "@" in group]
    return compose("config", overrides + packages), chosen


def _choices(hydra_config: DictConfig) -> dict[str, str | None]:
    """Returns the option of each of the program's own groups that say what a run is."""
    choices = hydra_config.runtime.choices.items()
    return {group: option for group, option in choices if not group.startswith("hydra/") and group not in PLACES}


def _override(group: str, option: str | None) -> str:
    return f"{group}={option}" if option else f"~{group}"
