"""What was submitted, on disk: <output>/cluster/jobs/<key>.json for each task, and the logs of its jobs beside it.

outputs/cluster/jobs/finetune-1f2e3d4c5b6a.json             job of Slurm, what it makes, after which others, commit
outputs/cluster/logs/finetune-1f2e3d4c5b6a/103_0_log.out    what job 103 says; and what submitit keeps of it
outputs/cluster/logs/finetune-1f2e3d4c5b6a/103_failed.json  why it failed, if it could still say so

A record is written by `cluster.submit` alone, under a lock; jobs write only files of their own. Numbers of jobs begin
anew where Slurm is set up anew: so a job counts only if its comment is the key of its task, and logs lie in the folder
of their task.
"""

import pickle
from dataclasses import asdict, dataclass, field
from pathlib import Path

from cluster.queue import Queued
from stages.records import read_record, write_record
from stages.results import read_done

CANCELLED = "cancelled by cluster.status"


@dataclass(frozen=True)
class Submitted:
    """A task that was submitted. jobs: number of the shard -> its job (the number is 1 for a task of one job); after:
    keys of the tasks that it waits for; study, run: name and folder of the run that it was first needed for; words:
    what composes that run."""

    key: str
    what: str
    kind: str
    jobs: dict[int, str]
    folder: str
    digest: str
    after: list[str]
    study: str
    run: str
    resources: str
    commit: str | None
    at: str
    shards: int = 1
    words: list[str] = field(default_factory=list)


def jobs_folder(output: Path) -> Path:
    return output / "cluster" / "jobs"


def logs_folder(output: Path, key: str = "") -> Path:
    """Returns the folder of all logs, or of those of one task."""
    return output / "cluster" / "logs" / key


def write(output: Path, submitted: Submitted) -> None:
    write_record(jobs_folder(output) / f"{submitted.key}.json", asdict(submitted))


def read(output: Path, key: str) -> Submitted | None:
    return _parsed(jobs_folder(output) / f"{key}.json")


def all_of(output: Path) -> list[Submitted]:
    """Returns all that was submitted for this output, in the order of submission; damaged records are left out."""
    found = [_parsed(file) for file in jobs_folder(output).glob("*.json")]
    return sorted((one for one in found if one), key=lambda one: (one.at, _number(one)))


def _parsed(file: Path) -> Submitted | None:
    content = read_record(file)
    try:
        return Submitted(**content | {"jobs": {int(number): job for number, job in content["jobs"].items()}})
    except (TypeError, KeyError, ValueError, AttributeError):
        return None


def _number(submitted: Submitted) -> int:
    """Returns the smallest number of its jobs: Slurm counts them up."""
    return min((int(job.partition("_")[0]) for job in submitted.jobs.values()), default=0)


def in_queue(output: Path, submitted: Submitted, there: dict[str, Queued]) -> dict[int, Queued]:
    """Returns those of a task's jobs that Slurm has and that have not ended, by their numbers. there: all that it
    has."""
    known = {number: there.get(job) for number, job in submitted.jobs.items()}
    logs = logs_folder(output, submitted.key)
    return {
        number: one
        for number, one in known.items()
        if one and one.comment == submitted.key and not (one.completes and _says(logs, submitted.jobs[number]))
    }


def _says(logs: Path, job: str) -> bool:
    """Tells whether a job has said how it ended: Slurm may take minutes to clear it away, or queue it again."""
    return ended_well(logs, job) or failure_file(logs, job).exists()


def log_of(logs: Path, job: str) -> Path:
    """Returns the log of a job, of its first process. logs: the folder of its task's."""
    return logs / f"{job}_0_log.out"


def ended_well(logs: Path, job: str) -> bool:
    """Tells whether a job ended without an error, by what submitit keeps of it."""
    try:
        with (logs / f"{job}_0_result.pkl").open("rb") as file:
            outcome, _ = pickle.load(file)
    except (OSError, EOFError, ValueError, pickle.UnpicklingError):
        return False
    return outcome == "success" and not failure_file(logs, job).exists()


def forget(logs: Path, job: str) -> None:
    """Removes what another job of this number left."""
    for file in (logs / f"{job}_0_result.pkl", log_of(logs, job), failure_file(logs, job)):
        file.unlink(missing_ok=True)


def note_cancelled(logs: Path, job: str) -> None:
    write_record(failure_file(logs, job), {"why": CANCELLED})


def failure_file(logs: Path, job: str) -> Path:
    return logs / f"{job}_failed.json"


def why_failed(logs: Path, job: str) -> str:
    """Returns the reason that the job itself gave; "" if it could give none."""
    return (read_record(failure_file(logs, job)) or {}).get("why", "")


def is_made(submitted: Submitted) -> bool:
    """Tells whether the result that a whole task or a join makes is there."""
    return (read_done(Path(submitted.folder)) or {}).get("digest") == submitted.digest
