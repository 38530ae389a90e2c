"""Submits a study to Slurm, each missing result as a job of its own: python -m cluster.submit [KEY=VALUE ...]

The words are those of python run.py, sweeps included; dry=true only shows what would be submitted. The program composes
every run, finds the results that are missing, submits them with what they wait for, and ends. Submitted again, it
submits what is neither complete nor queued.

    job         what                                                 after                   gets
    101         pretrain of outputs/digits/seed=0                    -                       24:00 h, 8 CPUs, 32 GB
    103         finetune of outputs/digits/seed=0                    ok 101                  12:00 h, 8 CPUs, 32 GB
    105_[0-15]  interactions/finetune, 16 shards of outputs/...      ok 103, 104             4:00 h, 4 CPUs, 16 GB
    121         interactions/finetune, join of 16 shards of out...   ok 103, 104; ended 105  2:00 h, 4 CPUs, 16 GB

Slurm begins a job when those before it have ended well (afterok), a join when its shards have ended at all (afterany):
it says which of them are missing. A job that can't begin any more is cancelled (kill-on-invalid-dep), or else it would
wait for ever. A dependency on a job that Slurm does not know counts as fulfilled, so only jobs in the queue are named,
and every job first checks that what it needs is complete. So nothing waits inside an allocation.
"""

import os
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from cluster import queue, records
from cluster.resources import of_task
from cluster.runs import hydras, runs_of
from cluster.shards import left
from cluster.tasks import SHARDS, SUMMARY, Task, tasks_of
from conf.check import check_writable
from conf.errors import BadInput
from stages import signals
from stages.command import errors_in_one_line
from stages.locks import check_held, locked
from stages.versions import ROOT, commit_of

DRY = "dry="


def main(words: list[str] | None = None) -> None:
    words = sys.argv[1:] if words is None else words
    if {"-h", "--help"} & set(words):
        print(__doc__)
        return
    with errors_in_one_line():
        dry = _dry(words)
        with hydras():
            runs = runs_of([word for word in words if not word.startswith(DRY)])
            tasks = tasks_of(runs)
        outputs = list(dict.fromkeys(run.cfg.output for run in runs))
        if len(outputs) > 1:
            raise BadInput(f"output={','.join(outputs)} is not allowed here: a study is submitted with one output")
        output = Path(outputs[0])
        if "%" in str(output):
            raise BadInput(f"output={output} is not allowed here: Slurm reads a % in names of logs as its own")
        if not tasks:
            print(f"{len(runs)} run{'s' * (len(runs) > 1)}: complete, there is nothing to submit")
        elif dry:
            _show(tasks)
        else:
            check_writable("output", output)
            with locked(place(output)), signals.doing("while it submitted jobs"):
                _submit_all(tasks, output)


def place(output: Path) -> Path:
    """Returns what is locked while jobs are submitted."""
    return output / "cluster"


def _show(tasks: list[Task]) -> None:
    by_key, row = {task.key: task for task in tasks}, _row(tasks)
    print(row.format("jobs", "what", "after", "gets"))
    for task in tasks:
        needs = (*task.after, *task.ended)
        waits = ", ".join(dict.fromkeys(by_key[key].what.partition("/")[0] for key in needs)) or "-"
        print(row.format(_jobs(task), _what(task), waits, of_task(task)))
    count = sum(map(_jobs, tasks))
    print(f"dry=true: nothing was submitted; it would be {count} job{'s' * (count > 1)}, without those that are queued")


def _jobs(task: Task) -> int:
    return task.shards if task.kind == SHARDS else 1


@dataclass
class _Queue:
    """What is known of jobs while tasks are submitted. there: what Slurm has; row: the format of a row; largest: number
    of jobs in an array; known: key of a task -> those of its jobs that Slurm has; fresh: keys of tasks with new
    jobs."""

    output: Path
    there: dict[str, queue.Queued]
    commit: str | None
    row: str
    largest: int
    known: dict[str, list[str]] = field(default_factory=dict)
    fresh: set[str] = field(default_factory=set)
    submitted: int = 0


def _submit_all(tasks: list[Task], output: Path) -> None:
    state = _Queue(output, queue.queued(), commit_of(ROOT), _row(tasks), queue.largest_array())
    print(state.row.format("job", "what", "after", "gets"), flush=True)
    before = 0
    for task in tasks:
        live, lost = _left(task, state)
        state.known[task.key] = list(live.values())
        before += len(live)
        if lost:
            _submit_task(task, sorted(lost), state)
    waiting = f", {before} {'were' if before > 1 else 'was'} queued before" if before else ""
    print(f"{state.submitted} job{'s' * (state.submitted != 1)} submitted{waiting}")
    print(f"python -m cluster.status output={output} says how they are; their logs: {records.logs_folder(output)}")


def _left(task: Task, state: _Queue) -> tuple[dict[int, str], set[int]]:
    """Returns the jobs of a task that are queued or run, by number, and the numbers of those to be submitted. Cancels
    those that have become useless: they can never begin, are of another number of shards, or do not wait for jobs that
    were submitted just now."""
    before = records.read(state.output, task.key)
    there = records.in_queue(state.output, before, state.there) if before else {}
    late = bool(state.fresh & {*task.after, *task.ended})
    useless = {
        number for number, job in there.items() if job.never or before.shards != task.shards or (late and not job.runs)
    }
    if useless:
        queue.cancel([before.jobs[number] for number in useless])
    live = {number: before.jobs[number] for number in there.keys() - useless}
    wanted = left(task.run, task.what, task.shards) if task.kind == SHARDS else {1}
    return live, wanted - live.keys()


def _submit_task(task: Task, lost: list[int], state: _Queue) -> None:
    """Submits these jobs of a task, in arrays that are not too large for this Slurm; writes down and prints them."""
    waits = {
        kind: ":".join(job for key in keys for job in state.known.get(key, []))
        for kind, keys in (("afterok", task.after), ("afterany", task.ended))
    }
    before = records.read(state.output, task.key)
    jobs = before.jobs if before and before.shards == task.shards else {}
    new: dict[int, str] = {}
    for first in range(0, len(lost), state.largest):
        check_held(place(state.output))
        new |= _sbatch(task, lost[first : first + state.largest], waits, state)
        records.write(state.output, _record(task, jobs | new, state.commit))
    state.known[task.key] += dict.fromkeys(job.partition("_")[0] for job in new.values())  # whole arrays
    state.fresh.add(task.key)
    state.submitted += len(new)
    which = "" if len(lost) == _jobs(task) else f", only {', '.join(map(str, lost))}"
    words = {"afterok": "ok", "afterany": "ended"}
    after = "; ".join(f"{words[kind]} {_some(of.split(':'))}" for kind, of in waits.items() if of) or "-"
    print(state.row.format(_named(list(new.values())), _what(task) + which, after, of_task(task)), flush=True)


def _sbatch(task: Task, numbers: list[int], waits: dict[str, str], state: _Queue) -> dict[int, str]:
    """Submits these jobs of a task at once; returns number -> job."""
    from cluster.work import Work  # it imports what jobs need

    cfg, logs = task.run.cfg, records.logs_folder(state.output.absolute(), task.key)
    work = Work(task.what, task.kind, task.shards, task.run.words, task.digest, str(task.folder), cfg.run_dir,
                str(logs), os.getcwd(), state.commit, runs=task.runs)  # fmt: skip
    after = ",".join(f"{kind}:{of}" for kind, of in waits.items() if of)
    executor = of_task(task).executor(logs, cfg.cluster, _name(task), task.key, after)
    try:
        jobs = executor.submit_array([work.of_shard(number) for number in numbers])
    except Exception as error:
        if type(error).__name__ != "FailedJobError":
            raise
        raise BadInput(f"sbatch refuses {task.called} of {cfg.run_dir}: {_reason(error)}") from error
    for job in jobs:
        records.forget(logs, job.job_id)
    return dict(zip(numbers, (job.job_id for job in jobs), strict=True))


def _name(task: Task) -> str:
    """Returns the name of a task's jobs in Slurm."""
    return f"{task.run.cfg.name} {task.called} {Path(task.run.cfg.run_dir).name}"


def _reason(error: Exception) -> str:
    lines = [line.split("error:")[-1].strip() for line in str(error).splitlines() if "error:" in line]
    return "; ".join(dict.fromkeys(lines)) or " ".join(str(error).split())


def _record(task: Task, jobs: dict[int, str], commit: str | None) -> records.Submitted:
    cfg, at = task.run.cfg, time.strftime("%Y-%m-%d %H:%M:%S")
    return records.Submitted(
        task.key, task.what, task.kind, jobs, str(task.folder.absolute()), task.digest, [*task.after, *task.ended],
        cfg.name, _run(task), str(of_task(task)), commit, at, task.shards, list(task.run.words),
    )  # fmt: skip


def _what(task: Task) -> str:
    """Returns such as "finetune of outputs/digits/seed=0"."""
    return f"{task.called} of {_run(task)}"


def _run(task: Task) -> str:
    return str(task.folder.parent) if task.what == SUMMARY else task.run.cfg.run_dir


def _row(tasks: list[Task]) -> str:
    """Returns the format of a row, with room for the longest text."""
    return f"{{:<11}} {{:<{max(len(_what(task)) for task in tasks)}}}  {{:<24}}  {{}}"


def _some(jobs: list[str]) -> str:
    jobs = sorted(set(jobs), key=lambda job: [int(part) for part in job.split("_")])
    return ", ".join(jobs if len(jobs) < 4 else [*jobs[:2], f"{len(jobs) - 2} more"])


def _named(jobs: list[str]) -> str:
    """Returns 103, or 103_[0-15] for the tasks of an array."""
    arrays: dict[str, list[str]] = {}
    for job in jobs:
        array, _, number = job.partition("_")
        arrays.setdefault(array, []).extend([number] if number else [])
    return ",".join(f"{array}_[{of[0]}-{of[-1]}]" if of else array for array, of in arrays.items())


def _dry(words: list[str]) -> bool:
    given = [word.removeprefix(DRY).lower() for word in words if word.startswith(DRY)]
    if given and given[-1] not in ("true", "false"):
        raise BadInput(f"dry={given[-1]} is not allowed: true or false is expected")
    return given[-1:] == ["true"]


if __name__ == "__main__":
    signals.watch()
    main()
