"""How the jobs of a study are: of each task that was submitted, from Slurm, from its result and from what jobs left."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cluster import queue, records
from cluster.records import Submitted
from cluster.tasks import SHARDS, called

DONE, RUNNING, QUEUED, FAILED = "done", "running", "queued", "failed"
STATES = (RUNNING, QUEUED, FAILED, DONE)
TAIL = 8192  # bytes at the end of a log in which its progress is looked for
PROGRESS = re.compile(r"^[^:\n]*: (.*, [\d:]+ left)$", re.MULTILINE)  # stages/progress.py
ENDINGS = {
    "TIMEOUT": "it reached its time limit too often",
    "OUT_OF_MEMORY": "it needed more memory than it got",
    "NODE_FAIL": "its node failed",
    "CANCELLED": "it was cancelled",
}
NEVER_BEGAN = "it never began: it was cancelled, or what it needs has failed"


@dataclass(frozen=True)
class State:
    """The state of one job. number: of the shard; about: progress and time left, what it waits for, why it failed."""

    job: str
    number: int
    state: str
    about: str = ""


def states_of(output: Path, submitted: list[Submitted]) -> dict[str, list[State]]:
    """Returns for each task, by its key, the states of its jobs."""
    there = queue.queued()
    made = {one.key for one in submitted if one.kind != SHARDS and records.is_made(one)}
    unknown = [job for one in submitted if one.key not in made for job in _silent(output, one, there)]
    said = queue.ended(unknown)
    found = {}
    for one in submitted:
        whole, live = one.key.removesuffix(f"-{SHARDS}") in made, records.in_queue(output, one, there)
        logs = records.logs_folder(output, one.key)
        found[one.key] = [
            State(job, number, *(_live(logs, job, live[number]) if number in live else _over(logs, job, whole, said)))
            for number, job in sorted(one.jobs.items())
        ]
    return found


def _silent(output: Path, one: Submitted, there: dict[str, queue.Queued]) -> list[str]:
    """Returns the jobs of a task that have ended, and do not say how."""
    logs, live = records.logs_folder(output, one.key), records.in_queue(output, one, there)
    over = [job for number, job in one.jobs.items() if number not in live]
    return [job for job in over if not records.ended_well(logs, job) and not records.why_failed(logs, job)]


def _live(logs: Path, job: str, known: queue.Queued) -> tuple[str, str]:
    """Returns the state of a job that Slurm has, and what is to be said of it."""
    if known.never:
        return FAILED, f"it can never begin ({known.reason})"
    if known.runs:
        return RUNNING, ", ".join(filter(None, (progress(records.log_of(logs, job)), known.node)))
    return QUEUED, known.reason


def _over(logs: Path, job: str, made: bool, said: dict[str, str]) -> tuple[str, str]:
    """Returns the same of a job that has ended. made: whether its result is there; said: how Slurm says it ended."""
    if made or records.ended_well(logs, job):
        return DONE, ""
    if not records.log_of(logs, job).exists():
        return FAILED, NEVER_BEGAN
    state = said.get(job, "")
    why = records.why_failed(logs, job)
    return FAILED, why or ENDINGS.get(state, f"Slurm says {state}" if state else "it was killed")


def progress(log: Path) -> str:
    """Returns what a log says last of the progress, such as "epoch 3/20, test accuracy 0.812, 1:20 left"; "" if
    nothing."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - TAIL))
            text = file.read().decode(errors="replace")
    except OSError:
        return ""
    found = PROGRESS.findall(text)
    return found[-1] if found else ""


def lines(output: Path, submitted: list[Submitted], states: dict[str, list[State]]) -> Iterable[str]:
    """Yields a line with the number of jobs in each state, then one for each task with jobs that are not done."""
    flat = [state for one in submitted for state in states[one.key]]
    counts = [f"{sum(state.state == name for state in flat)} {name}" for name in (DONE, RUNNING, QUEUED, FAILED)]
    yield f"{', '.join(counts)}"
    for name in (RUNNING, QUEUED, FAILED):
        for one in submitted:
            mine = [state for state in states[one.key] if state.state == name]
            if mine:
                yield from _of_task(output, one, name, mine, states[one.key])


def _of_task(output: Path, one: Submitted, name: str, mine: list[State], every: list[State]) -> Iterable[str]:
    if name == FAILED:
        for state in mine:
            log = records.log_of(records.logs_folder(output, one.key), state.job)
            where = f"; log: {log}" if log.exists() else ""
            what = called(one.what, one.kind, one.shards, state.number)
            yield f"  {name:<8} {state.job:<9} {what} of {one.run}: {state.about}{where}"
        return
    some = (
        f"{len(mine)} of {len(every)} shards, {one.what}"
        if one.kind == SHARDS
        else called(one.what, one.kind, one.shards)
    )
    yield f"  {name:<8} {mine[0].job:<9} {some} of {one.run}" + (f": {mine[0].about}" if mine[0].about else "")
