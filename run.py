"""Why does pre-training help? Runs the study's stages, in order: python run.py [KEY=VALUE ...]

Checks the configuration first; a stage that is complete is not run again, an interrupted one goes on where it was.
"""

import csv
import hashlib
import importlib
import os
import re
import sys
import tempfile
import time
from contextlib import redirect_stdout
from pathlib import Path
from types import ModuleType

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from conf import schema
from conf.check import STAGES, BadInput, check
from stages.need import Need, check_disk, table
from training.folder import (
    ROLES,
    check_settings,
    inputs,
    is_complete,
    is_first_process,
    locked,
    roles,
    stage_folder,
    weights_of,
)

MODULES = {
    "pretrain": "pretrain_probe.pretrain",
    "probe": "pretrain_probe.probe",
    "finetune": "finetune.finetune",
    "scratch": "scratch.scratch",
    "interactions": "interactions.evaluate",
    "analysis": "analysis.analyse",
}
# Overrides that lead to the same folder: they say which study, or how and where it runs, not what it is.
SAME_FOLDER = ("experiment", "name", "seed", "stages", "plan", "output", "run_dir", "num_workers", "wandb", "analysis")
SAME_FOLDER += ("data.root", "data.download", "debug")

schema.register()


@hydra.main(version_base="1.3", config_path="conf", config_name="config")
def main(cfg: DictConfig) -> None:
    hydra_config = HydraConfig.get()
    overrides, sweep = list(hydra_config.overrides.task), hydra_config.mode == RunMode.MULTIRUN
    variant = variant_of(overrides, sweep)
    if sweep:  # the folder of the analysis, too, says which options are its own
        options = sorted(
            override.removeprefix("analysis.") for override in overrides if override.startswith("analysis.")
        )
        cfg.analysis.name = folder_name([cfg.analysis.name, *(o for o in options if not o.startswith("name="))])
    if variant and not OmegaConf.is_missing(cfg, "name"):
        cfg.name = f"{cfg.name}/{variant}"
    check(cfg)
    stages = [stage for stage in STAGES if stage in cfg.stages]
    if not cfg.plan:
        run_stages(cfg, stages)
        return
    cfg.data.download = False
    with tempfile.TemporaryDirectory() as scrap:
        if cfg.data.made:  # what is made up is made up elsewhere
            cfg.data.root = scrap
        print(planned(cfg, stages, check_stages(cfg, stages)))


def variant_of(overrides: list[str], sweep: bool) -> str:
    """Names the run after what the command line changes, so that the runs of a sweep have folders of their own.

    Outside of a sweep only another model or data set has a folder of its own: other changed settings are refused
    where they meet results made without them.
    """
    pairs = [override.lstrip("+~").split("=", 1) for override in overrides]
    chosen = [(key, value) for key, value in pairs if not {key, key.split(".")[0]} & {*SAME_FOLDER}]
    if not sweep:
        chosen = [(key, value) for key, value in chosen if key in ("model", "data")]
    return folder_name([f"{key}={value}" for key, value in sorted(chosen)])


def folder_name(parts: list[str]) -> str:
    """The parts with nothing in them that a folder's name may not have; shortened if they are too long for one."""
    name = re.sub(r"[^\w=,.-]", "_", ",".join(parts))
    if len(name) <= 120:
        return name
    return f"{name[:100]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def run_stages(cfg: DictConfig, stages: list[str]) -> None:
    if not is_first_process():  # the others take part in training only, and what they would print it prints
        with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere):
            _take_part(cfg, stages)
        return
    needs = check_stages(cfg, stages)
    there = sum(_bytes(stage_folder(cfg, stage)) for stage in needs)
    check_disk(sum(need.disk for need in needs.values()), there, Path(cfg.output))
    with locked(Path(cfg.run_dir)):
        for stage in stages:
            _run_if_needed(cfg, stage)
        if "analysis" in stages:
            show_claims(stage_folder(cfg, "analysis"))


def _take_part(cfg: DictConfig, stages: list[str]) -> None:
    for stage in stages:
        trained = stage in ("finetune", "scratch") or (stage == "pretrain" and weights_of(cfg) == "pretrain")
        if trained and not is_complete(stage_folder(cfg, stage)):
            _run(cfg, stage)


def check_stages(cfg: DictConfig, stages: list[str]) -> dict[str, Need]:
    """What each stage that is not complete will take.

    Raises BadInput for whatever can be known to go wrong in any of the stages, before the first begins.
    """
    for stage in stages:
        check_settings(cfg, stage)
        _check_inputs(cfg, stage, stages)
    return {stage: _module(stage).check(cfg) for stage in stages if not is_complete(stage_folder(cfg, stage))}


def planned(cfg: DictConfig, stages: list[str], needs: dict[str, Need]) -> str:
    """The stages with what they take: those that are complete nothing."""
    rates = importlib.import_module("training.rates").Rates.measured(cfg) if needs else None  # imports torch
    rows = []
    for stage in stages:
        begun = (stage_folder(cfg, stage) / "config.yaml").exists()
        state = ("begun" if begun else "to do") if stage in needs else "complete"
        need = needs.get(stage, Need())
        rows.append((stage, state, need, rates.seconds(need) if rates else 0))
    return f"{table(rows)}\nin {cfg.run_dir}; nothing was written"


def _bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def _check_inputs(cfg: DictConfig, stage: str, stages: list[str]) -> None:
    for needed in inputs(cfg, stage):
        check_settings(cfg, needed)
        folder = stage_folder(cfg, needed)
        if needed not in stages and not is_complete(folder):
            raise BadInput(
                f"{stage} needs what {needed} makes, and {folder} is not complete: run stages=[{needed},{stage}]"
                + (_without(cfg, needed) if stage == "interactions" else "")
            )


def _without(cfg: DictConfig, stage: str) -> str:
    """How to do without the model that `stage` makes, if another one is left."""
    others = [role for role in roles(cfg) if ROLES[role] != stage]
    return f", or do without that model: interactions.roles=[{','.join(others)}]" if others else ""


def _run_if_needed(cfg: DictConfig, stage: str) -> None:
    folder = stage_folder(cfg, stage)
    if stage == "pretrain":
        with locked(folder):
            _run_unless_complete(cfg, stage, folder)
        _link(Path(cfg.run_dir) / "pretrain", folder)
    else:
        _run_unless_complete(cfg, stage, folder)


def _run_unless_complete(cfg: DictConfig, stage: str, folder: Path) -> None:
    check_settings(cfg, stage)  # again: another run may have worked here while this one waited
    if is_complete(folder):
        print(f"{stage}: complete in {folder}", flush=True)
        return
    started = time.monotonic()
    _run(cfg, stage)
    print(f"{stage}: {time.monotonic() - started:.0f} s, in {folder}", flush=True)


def _run(cfg: DictConfig, stage: str) -> None:
    _module(stage).run(cfg)


def _module(stage: str) -> ModuleType:
    return importlib.import_module(MODULES[stage])


def show_claims(folder: Path) -> None:
    """The claims as a table, and where the report is."""
    path = folder / "tables" / "claims.csv"
    if path.exists():
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))
        print()
        for row in rows:
            value, low, high, chance = (f"{float(row[key] or 'nan'):.3g}" for key in ("value", "low", "high", "chance"))
            print(f"{row['verdict']:>13}  {row['claim']}")
            print(f"{'':13}  {row['quantity']}: {value} [{low}, {high}], chance {chance}")
            if row.get("noise"):  # older tables have no such column
                print(f"{'':13}  numerical noise {row['noise']} this")
    print(f"\nreport: {folder / 'report.html'}", flush=True)


def _link(link: Path, folder: Path) -> None:
    """Shows the shared pre-training in the run's own folder."""
    link.parent.mkdir(parents=True, exist_ok=True)
    target = os.path.relpath(folder, link.parent)
    if not link.is_symlink() or os.readlink(link) != target:
        link.unlink(missing_ok=True)
        link.symlink_to(target)


if __name__ == "__main__":
    try:
        main()
    except SystemExit as stop:
        # Hydra turns every exception into exit code 1; 2 says that the program itself refused.
        sys.exit(2 if isinstance(stop.__context__, BadInput) else stop.code)
