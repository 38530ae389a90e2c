"""How the jobs of a study are: of each task that was submitted, from Slurm, from its result and from what jobs left."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cluster import queue, records
from cluster.records import Submitted
from cluster.tasks import SHARDS, called

DONE, RUNNING, QUEUED, CANCELLED, FAILED = "done", "running", "queued", "cancelled", "failed"
STATES = (DONE, RUNNING, QUEUED, CANCELLED, FAILED)
TAIL = 8192  # bytes at the end of a log in which its progress is looked for
PROGRESS = re.compile(r"^[^:\n]*: (.*, [\d:]+ left)$", re.MULTILINE)  # stages/progress.py
HELLO = re.compile(r"^.*: job \S+ on \S+, commit .*$", re.MULTILINE)  # cluster/work.py
ENDINGS = {
    "TIMEOUT": "it reached its time limit, and could not be queued again",
    "OUT_OF_MEMORY": "it needed more memory than it got: give more, such as cluster.finetune.memory",
    "NODE_FAIL": "its node failed",
    "CANCELLED": "it was cancelled",
    "FAILED": "it ended without a word, perhaps killed since it needed more memory than the node has",
}
NEVER_BEGAN = "it never began: it was cancelled, or what it needs has failed"
WAITS = {
    "None": "",
    "Dependency": "waits for other jobs",
    "Priority": "waits for room",
    "Resources": "waits for room",
    "BeginTime": "was queued again, begins soon",
    "JobHeldUser": "is held",
    "JobHeldAdmin": "is held",
}


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
    return QUEUED, WAITS.get(known.reason, known.reason)


def _over(logs: Path, job: str, made: bool, said: dict[str, str]) -> tuple[str, str]:
    """Returns the same of a job that has ended. made: whether its result is there; said: how Slurm says it ended."""
    if made or records.ended_well(logs, job):
        return DONE, ""
    state, why = said.get(job, ""), records.why_failed(logs, job)
    if why == records.CANCELLED:
        return CANCELLED, ""
    if not why and not records.log_of(logs, job).exists():
        return FAILED, NEVER_BEGAN
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
    hello = list(HELLO.finditer(text))
    found = PROGRESS.findall(text, hello[-1].end() if hello else 0)  # of this attempt
    return found[-1] if found else ""


def head(states: dict[str, list[State]]) -> str:
    """Returns the number of jobs in each state."""
    flat = [state.state for of_task in states.values() for state in of_task]
    counts = [
        f"{flat.count(name)} {name}" for name in STATES if name in (DONE, RUNNING, QUEUED, FAILED) or name in flat
    ]
    return ", ".join(counts)


def lines(output: Path, submitted: list[Submitted], states: dict[str, list[State]]) -> Iterator[str]:
    """Yields a line for each task with jobs that run or wait, one for each job that has failed, and one for all that
    did not begin since others have failed."""
    failed = {key for key, of_task in states.items() if any(state.state in (FAILED, CANCELLED) for state in of_task)}
    in_vain = 0
    for name in (RUNNING, QUEUED, FAILED):
        for one in submitted:
            mine = [state for state in states[one.key] if state.state == name]
            if name == FAILED and failed & set(one.after):
                in_vain += sum(state.about == NEVER_BEGAN for state in mine)
                mine = [state for state in mine if state.about != NEVER_BEGAN]
            if name == FAILED:
                yield from (_of_job(output, one, state) for state in mine)
            elif mine:
                yield _of_task(one, name, mine)
    if in_vain:
        yield f"  {FAILED:<8} {in_vain} job{'s' * (in_vain > 1)} could not begin, as what they need has failed"


def _of_job(output: Path, one: Submitted, state: State) -> str:
    log = records.log_of(records.logs_folder(output, one.key), state.job)
    where = f"; log: {log}" if log.exists() else ""
    what = called(one.what, one.kind, one.shards, state.number)
    return f"  {FAILED:<8} {state.job:<9} {what} of {one.run}: {state.about}{where}"


def _of_task(one: Submitted, name: str, mine: list[State]) -> str:
    about, job = mine[0].about, mine[0].job
    what = called(one.what, one.kind, one.shards, mine[0].number)
    if len(mine) > 1:
        job, what = job.partition("_")[0], f"{one.what}, {len(mine)} of {one.shards} shards"
        about = f"the first: {about}" if about and name == RUNNING else about
    return f"  {name:<8} {job:<9} {what} of {one.run}" + (f": {about}" if about else "")
