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
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from analysis.verdicts import show_claims
from stages import ending, runner, table
from stages.composed import prepared, register
from stages.job import forget_failure, job
from stages.plan import plan
from stages.versions import version_line

register()


@hydra.main(version_base="1.3", config_path="conf", config_name="config")
def main(cfg: DictConfig) -> None:
    if HydraConfig.get().mode == RunMode.MULTIRUN and is_first_process():
        job(cfg, run)
        return
    with ending.errors_in_one_line(), ending.whole():
        run(cfg)
        if is_first_process() and not cfg.plan and any(stage.in_run for stage in table.chosen(cfg)):
            show_claims(Path(cfg.run_dir) / "analysis")


def run(cfg: DictConfig) -> None:
    """Runs one study. Sets cfg.run_dir to the study's folder."""
    chosen = prepared(cfg)
    if cfg.plan:
        if is_first_process():
            print(plan(cfg))
        return
    runner.run_study(cfg, chosen)
    forget_failure(Path(cfg.run_dir))


if __name__ == "__main__":
    if "--version" in sys.argv[1:]:
        print(version_line())
        sys.exit()
    with ending.hydras_errors_in_one_line():
        main()
