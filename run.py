"""Why does pre-training help? Runs the study's stages, in order: python run.py [KEY=VALUE ...]

The program checks the configuration first. It does not repeat complete results, and continues interrupted ones.
"""

import sys
from pathlib import Path

from stages import signals, speed
from stages.processes import is_first_process

if __name__ == "__main__":
    speed.prepare()
    signals.watch(first=is_first_process())  # before the slow imports

import hydra
from hydra import compose
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from analysis.verdicts import show_claims
from conf import schema
from conf.check import check, check_length
from conf.sources import named_source
from conf.sweeps import one_by_one
from stages import ending, runner, table
from stages.differences import chosen as chosen_settings
from stages.job import forget_failure, job
from stages.plan import plan
from stages.versions import version_line
from stages.view import check_layout, run_folder

SAME = ("experiment", "debug")  # groups whose options are the experiment itself

schema.register()
OmegaConf.register_new_resolver("stages", table.described, replace=True)  # in the text of --help
OmegaConf.register_new_resolver("swept", one_by_one, replace=True)  # in experiments that are sweeps


@hydra.main(version_base="1.3", config_path="conf", config_name="config")
def main(cfg: DictConfig) -> None:
    if HydraConfig.get().mode == RunMode.MULTIRUN and is_first_process():
        job(cfg, run)
        return
    with ending.errors_in_one_line():
        run(cfg)
        if is_first_process() and not cfg.plan and any(stage.in_run for stage in table.chosen(cfg)):
            show_claims(Path(cfg.run_dir) / "analysis")


@ending.whole()
def run(cfg: DictConfig) -> None:
    """Runs one study. Sets cfg.run_dir to the study's folder."""
    source = named_source(cfg)
    check(cfg)
    own, chosen = own_settings()
    if source and own.data.source != cfg.data.source:  # treat the name like an option of a group
        own.data.source, chosen["data.source"] = cfg.data.source, source
    cfg.run_dir = str(run_folder(cfg, own, chosen))
    check_length(cfg)
    check_layout(Path(cfg.output), Path(cfg.run_dir))
    if cfg.plan:
        if is_first_process():
            print(plan(cfg))
        return
    runner.run_study(cfg, chosen_settings(cfg, own, _choices(HydraConfig.get()) | chosen))
    forget_failure(Path(cfg.run_dir))


def own_settings() -> tuple[DictConfig, dict[str, str]]:
    """Returns the experiment's own configuration, but with the options that were chosen instead of its own; and these
    options."""
    choices = _choices(HydraConfig.get())
    same = [_override(group, choices.get(group)) for group in SAME]
    usual = _choices(compose("config", same, return_hydra_config=True).hydra)
    chosen = {group: option for group, option in choices.items() if group not in SAME and usual.get(group) != option}
    overrides = same + [_override(*choice) for choice in chosen.items() if "@" not in choice[0]]
    there = _choices(compose("config", overrides, return_hydra_config=True).hydra)
    # Such as source@data.source, which some data already have; for others it is added with a +.
    packages = ["+" * (group not in there) + _override(group, chosen[group]) for group in chosen if "@" in group]
    return compose("config", overrides + packages), chosen


def _choices(hydra_config: DictConfig) -> dict[str, str | None]:
    """Returns the option of each of the program's own groups."""
    return {group: option for group, option in hydra_config.runtime.choices.items() if not group.startswith("hydra/")}


def _override(group: str, option: str | None) -> str:
    return f"{group}={option}" if option else f"~{group}"


if __name__ == "__main__":
    if "--version" in sys.argv[1:]:
        print(version_line())
        sys.exit()
    with ending.hydras_errors_in_one_line():
        main()
