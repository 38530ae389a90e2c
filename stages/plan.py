"""plan=true: which parts of a study are complete, what the rest would take on this machine, and where it would be.

It writes nothing, and needs neither data nor weights: missing ones are assumed (training/assumed.py). The stages
themselves say what they need, by the same `check` as before a run; how long that takes is measured.
"""

import importlib
from dataclasses import replace
from pathlib import Path
from types import ModuleType

from omegaconf import DictConfig

from stages import table
from stages.identity import Results, results_of
from stages.need import Need, Rates, free_disk, gigabytes
from stages.results import state
from stages.runner import check, left_by, left_to_write, reason
from stages.span import NO_TIME, Span
from stages.table import Stage
from stages.view import recorded

COMPLETE, TASKS = "complete", ("source", "target")
START = Span(0.2, 2)  # seconds of each stage before and after its work, such as beginning a run of W&B
Row = tuple[str, str, Need, Span]  # stage; complete, begun or to do; what the rest of it needs; its time


def plan(cfg: DictConfig) -> str:
    """Returns the plan. Raises BadInput for anything that a run would refuse, except missing files and a full disk."""
    stages, results = table.chosen(cfg), results_of(cfg)
    states = {stage: _state(results, stage) for stage in stages}
    lines, needs, times = [], {}, {}
    if set(states.values()) != {COMPLETE}:
        with _torch("training.assumed").assumed(cfg) as (there, remarks):
            needs = check(there, results, stages)
            times = _times(there, needs)
            lines = [_torch("training.machine").devices(there), *remarks, *_reasons(cfg, results, stages)]
    rows = [(stage.name, states[stage], needs.get(stage, Need()), times.get(stage, NO_TIME)) for stage in stages]
    lines += [as_table(rows), _disk(Path(cfg.output), left_to_write(results, needs))] if needs else [as_table(rows)]
    return "\n".join([*lines, f"the run's folder: {cfg.run_dir}", "nothing was written"])


def as_table(rows: list[Row]) -> str:
    together = ("together", "", _sum([need for _, _, need, _ in rows]), sum((time for *_, time in rows), NO_TIME))
    lines = [f"{'stage':<15} {'state':<9} {'forward':>13} {'trained on':>12} {'disk':>9} {'time':>15}"]
    for stage, found, need, time in [*rows, together]:
        counts = f"{need.forward + need.masked:>13,} {need.trained:>12,} {gigabytes(need.disk):>9} {time!s:>15}"
        lines.append(f"{stage:<15} {found}" if found == COMPLETE else f"{stage:<15} {found:<9} {counts}")
    return "\n".join(lines)


def _sum(needs: list[Need]) -> Need:
    counts = ("forward", "trained", "masked", "disk")
    return Need(**{count: sum(getattr(need, count) for need in needs) for count in counts})


def _reasons(cfg: DictConfig, results: Results, stages: list[Stage]) -> list[str]:
    """Says why results have to be made although others of their stage exist, as a run says it."""
    shown = recorded(Path(cfg.run_dir))
    missing = [one for stage in stages for one in left_by(results, stage) if not state(one).complete]
    return [f"{one.name}: to do; {why}" for one in missing if (why := reason(one, shown))]


def _state(results: Results, stage: Stage) -> str:
    found = [state(result) for result in left_by(results, stage)]
    if all(one.complete for one in found):
        return COMPLETE
    return "begun" if any(one.begun for one in found) else "to do"


def _times(cfg: DictConfig, needs: dict[Stage, Need]) -> dict[Stage, Span]:
    """Returns measured times; only the kinds of work that are needed are measured, as each takes seconds."""
    rates = {task: _rates(cfg, task, [need for need in needs.values() if need.task == task]) for task in TASKS}
    return {stage: START + rates[need.task].seconds(need) for stage, need in needs.items()}


def _rates(cfg: DictConfig, task: str, needs: list[Need]) -> Rates:
    wanted = [kind for kind in ("forward", "trained", "loaded") if any(getattr(need, kind) for need in needs)]
    rates = _torch("training.rates").measured(cfg, task, wanted) if wanted else Rates()
    masked = any(need.masked for need in needs)
    return replace(rates, masked=_torch("interactions.rates").measured(cfg)) if masked else rates


def _disk(output: Path, wanted: int) -> str:
    free = free_disk(output)
    short = ", which is not enough" if wanted > free else ""
    return f"disk: {gigabytes(wanted)} would be used in {output}, {gigabytes(free)} are free{short}"


def _torch(module: str) -> ModuleType:
    """Imports a module only when it is needed: a plan with nothing left to do must not take seconds."""
    return importlib.import_module(module)
