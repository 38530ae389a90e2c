"""What was submitted, on disk: <output>/cluster/jobs/<key>.json for each task, and the logs of its jobs beside it.

outputs/cluster/jobs/finetune-1f2e3d4c5b6a.json   job of Slurm, what it makes, after which others, resources, commit
outputs/cluster/logs/103_4_0_log.out              what job 103_4 says; and what submitit keeps of it
outputs/cluster/logs/103_4_failed.json            why it failed, if it could still say so

A record is written by `cluster.submit` alone, under a lock; jobs write only files of their own.
"""

from dataclasses import asdict, dataclass, field
from pathlib import Path

from stages.records import read_record, write_record
from stages.results import read_done


@dataclass(frozen=True)
class Submitted:
    """A task that was submitted. jobs: number of the shard -> its job (the number is 1 for a task of one job); after:
    keys of the tasks that it waits for; study: name and folder of the run that it was first needed for; words: what
    composes that run."""

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


def logs_folder(output: Path) -> Path:
    return output / "cluster" / "logs"


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


def log_of(output: Path, job: str) -> Path:
    """Returns the log of a job, of its first process."""
    return logs_folder(output) / f"{job}_0_log.out"


def ended_well(output: Path, job: str) -> bool:
    """Tells whether a job ended without an error: submitit then keeps what its function returned."""
    return (logs_folder(output) / f"{job}_0_result.pkl").exists() and not failure_file(output, job).exists()


def failure_file(output: Path, job: str) -> Path:
    return logs_folder(output) / f"{job}_failed.json"


def why_failed(output: Path, job: str) -> str:
    """Returns the reason that the job itself gave; "" if it could give none."""
    return (read_record(failure_file(output, job)) or {}).get("why", "")


def is_made(submitted: Submitted) -> bool:
    """Tells whether the result that a whole task or a join makes is there."""
    return (read_done(Path(submitted.folder)) or {}).get("digest") == submitted.digest
