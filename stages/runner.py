"""Runs the requested stages of a study in order, as far as they are not complete yet.

A stage's module has two functions. `check(cfg, results) -> Need` raises BadInput for any failure that can be known
before the first stage begins, and says what the stage will take. `run(cfg, results, name)` makes the result of that
name, in `results[name].folder`, from its inputs on disk: stages meet only there.
"""

import importlib
import os
import time
from contextlib import nullcontext, redirect_stdout, suppress
from pathlib import Path
from types import ModuleType

from omegaconf import DictConfig

from conf.check import check_writable
from conf.errors import BadInput
from stages import group, processes, table
from stages.checked import checked_images
from stages.checksums import own_files
from stages.identity import Result, Results, memory_of, results_of
from stages.locks import locked
from stages.nearest import difference
from stages.need import Need, check_disk
from stages.processes import is_first_process
from stages.results import begin_share, is_complete, state
from stages.shares import in_shares, left_to_join
from stages.signals import doing
from stages.space import is_no_space, no_space
from stages.table import ROLES, Stage
from stages.view import recorded, show


def run_study(cfg: DictConfig, chosen: dict[str, dict] | None = None, only: str | None = None) -> Results:
    """Makes the requested results that are not complete; returns all results of the study.

    chosen: content of chosen.json (stages/view.py), to be written into the run's folder; only: the name of a single
    result that is asked for, instead of all those of the stages.
    """
    memory = memory_of(cfg)
    results = results_of(cfg, memory)
    stages = [results[only].stage] if only else table.chosen(cfg)
    if not is_first_process():  # the others only take part in training, and the first one prints
        _take_part(cfg, results, stages)
        return results
    _say_epochs(cfg)
    asked = [result for stage in stages for result in left_by(results, stage) if only in (None, result.name)]
    to_do = [result for result in asked if not is_complete(result)]
    if any(stage.trains for stage in (stages if processes.tasks() > 1 else [result.stage for result in to_do])):
        group.listen(cfg.trainer.get("num_nodes", 1))
    check_places(cfg, to_do)
    with doing("in the check before the first stage"):
        needs = check(cfg, results, stages, asked)
    check_disk(left_to_write(results, needs), Path(cfg.output))
    group.meet(cfg.wait)
    for found in (memory, checked_images(cfg)):
        found.save()  # not before, as a refused run leaves nothing
    shown = [name for result in asked for name in (result.name, *result.inputs)]
    run = Path(cfg.run_dir)
    before = recorded(run)
    trained = [result.name for result in asked if result.stage.trains]
    try:
        for result in asked:
            if _make(cfg, results, result, before):
                show(run, cfg, results, shown, chosen)
            if result.name in trained[-1:]:
                group.tell("end")
        if not any(in_shares(cfg, result) for result in to_do):  # the run that joins shares shows the result
            with nullcontext() if to_do else suppress(OSError):  # a complete result may be on a read-only disk
                show(run, cfg, results, shown, chosen)
    except (OSError, RuntimeError) as error:
        if not is_no_space(error):
            raise
        raise no_space(error, Path(cfg.output), left_to_write(results, needs)) from error
    group.close()
    return results


def _say_epochs(cfg: DictConfig) -> None:
    longest = max(cfg[stage.name].epochs for stage in table.STAGES if stage.trains)
    beyond = [] if cfg.checkpoints.epochs == "all" else [epoch for epoch in cfg.checkpoints.epochs if epoch > longest]
    if beyond:
        epochs = ", ".join(map(str, sorted(beyond)))
        print(f"checkpoints.epochs: no training has epoch {epochs}, the longest has {longest}", flush=True)


def check_places(cfg: DictConfig, to_do: list[Result]) -> None:
    """Raises BadInput if the folder of the results to be made, or that of the run, can't be written to."""
    if any(not result.stage.in_run for result in to_do):
        check_writable("output", Path(cfg.output))
    if to_do:
        check_writable("run_dir", Path(cfg.run_dir))


def check(
    cfg: DictConfig, results: Results, stages: list[Stage], asked: list[Result] | None = None
) -> dict[Stage, Need]:
    """Returns what each stage that is not complete will take. asked: the results that are asked for, if not all.

    Raises BadInput for any failure of the stages that can be known before the first begins.
    """
    asked = [result for stage in stages for result in left_by(results, stage)] if asked is None else asked
    to_do = [result for result in asked if not is_complete(result)]
    missing = [stage for stage in stages if any(result.stage is stage for result in to_do)]
    for stage in missing:
        _check_inputs(cfg, stage, [result for result in to_do if result.stage is stage], asked)
    names = {name for result in asked for name in (result.name, *result.inputs)}
    return {stage: _module(stage).check(cfg, _without_others(results, stage, names)) for stage in missing}


def _without_others(results: Results, stage: Stage, names: set[str]) -> Results:
    """Leaves out what else the stage makes, beside what is asked for."""
    return {name: result for name, result in results.items() if result.stage is not stage or name in names}


def _check_inputs(cfg: DictConfig, stage: Stage, to_do: list[Result], asked: list[Result]) -> None:
    names = {result.name for result in asked}
    for result in to_do:
        for name, needed in result.inputs.items():
            if name in names and not is_complete(needed) and (share := in_shares(cfg, needed)):
                raise BadInput(
                    f"{share.key}={share} leaves {needed.name} incomplete, and {stage.name} needs all of it: run "
                    f"stages=[{needed.stage.name}]"
                )
            if name not in names and not is_complete(needed):
                raise BadInput(
                    f"{stage.name} needs what {needed.stage.name} makes, and {needed.folder} is not complete: run "
                    f"stages=[{needed.stage.name},{stage.name}]"
                    + (_without(cfg, name) if stage.name == "interactions" else "")
                )


def _without(cfg: DictConfig, stage: str) -> str:
    """Says how to leave out the model that `stage` makes, if other models remain."""
    others = [role for role in table.roles(cfg) if ROLES[role] != stage]
    return f", or leave out that model: interactions.roles=[{','.join(others)}]" if others else ""


def _make(cfg: DictConfig, results: Results, result: Result, before: dict[str, dict]) -> bool:
    """Makes a result unless it is complete; returns whether it did. before: what the run's folder showed until now."""
    if _is_there(result) or left_to_join(cfg, result):
        return False
    if share := in_shares(cfg, result):
        _make_share(cfg, results, result, f"{result.name}, shard {share}")
        return False
    for needed in result.inputs.values():
        if os.access(needed.folder.parent, os.W_OK):  # on a read-only disk nothing is made
            with locked(needed.folder, minutes=cfg.wait):  # another run may be making it again just now
                pass
    with locked(result.folder, minutes=cfg.wait):
        if _is_there(result):  # made by the run that was waited for
            return False
        if why := reason(result, before):
            print(f"{result.name}: to do; {why}", flush=True)
        _check_there(result)
        started = time.monotonic()
        with doing(f"in {result.name}"):
            _module(result.stage).run(cfg, results, result.name)
    print(f"{result.name}: {time.monotonic() - started:.0f} s, in {result.folder}", flush=True)
    return True


def _make_share(cfg: DictConfig, results: Results, result: Result, name: str) -> None:
    """Makes a share of a result, which stays incomplete, without a lock."""
    _check_there(result)
    begin_share(result)
    started = time.monotonic()
    try:
        with doing(f"in {name}"):
            _module(result.stage).run(cfg, results, result.name)
    except OSError:
        if not is_complete(result):  # otherwise others have completed it, and removed what shards were writing
            raise
    print(f"{name}: {time.monotonic() - started:.0f} s, in {result.folder}", flush=True)


def _is_there(result: Result) -> bool:
    complete = is_complete(result)
    if complete:
        print(f"{result.name}: complete in {result.folder}", flush=True)
    return complete


def reason(result: Result, before: dict[str, dict]) -> str:
    """Says why a result that is not complete has to be made; returns "" if no reason is known. before: what the
    run's folder shows."""
    found = state(result)
    fresh = not (found.begun or result.stage.in_run)
    return found.why or _deleted(result, before) or (difference(result) if fresh else "")


def _check_there(result: Result) -> None:
    """Raises BadInput if after the check an input was deleted, or begun again by another run."""
    for needed in result.inputs.values():
        if not is_complete(needed):
            raise BadInput(f"{needed.folder} is not complete any more: run the same command again")


def _deleted(result: Result, before: dict[str, dict]) -> str:
    shown = before.get(result.name, {}).get("digest") == result.digest
    return f"{result.folder} has been deleted" if shown and not result.folder.exists() else ""


def _take_part(cfg: DictConfig, results: Results, stages: list[Stage]) -> None:
    """Trains with the first process, whenever that one begins a training."""
    training, nodes = [stage for stage in stages if stage.trains], cfg.trainer.get("num_nodes", 1)
    if not training or (group.by_hand() and all(is_complete(results[stage.name]) for stage in training)):
        return
    for name in group.trainings(nodes, cfg.wait):
        with doing(f"in {name}"), open(os.devnull, "w") as nowhere, redirect_stdout(nowhere):
            _module(results[name].stage).run(cfg, results, name)


def left_by(results: Results, stage: Stage) -> list[Result]:
    """Returns the results of this study that the stage makes."""
    return [results[name] for name in stage.results if name in results]


def _module(stage: Stage) -> ModuleType:
    return importlib.import_module(stage.module)


def left_to_write(results: Results, needs: dict[Stage, Need]) -> int:
    """Returns the bytes that the stages need and that are not on disk yet."""
    missing = {stage: [one for one in left_by(results, stage) if not is_complete(one)] for stage in needs}
    begun = [
        file
        for some in missing.values()
        for result in some
        if result.folder.exists()
        for file in own_files(result.folder)
    ]
    wanted = sum(need.disk for stage, need in needs.items() if missing[stage])
    return max(wanted - sum(file.stat().st_size for file in begun), 0)
