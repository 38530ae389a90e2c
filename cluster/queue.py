"""Slurm's own commands: what is queued and runs, how jobs ended, and cancelling.

Jobs are named as Slurm names them: 103, and 103_4 for a task of an array.
"""

import os
import re
import subprocess
from dataclasses import dataclass

from conf.errors import BadInput

SECONDS = 60  # the limit for one command: a busy controller takes a while
MISSING = "{} is not found: Slurm's commands are needed, as on a login node of a cluster"
# Of a job that waits: it will never begin, whatever the others do.
NEVER = {"DependencyNeverSatisfied", "BadConstraints", "PartitionNodeLimit", "PartitionTimeLimit", "InvalidAccount"}
NEVER |= {"InvalidQOS", "AccountNotAllowed", "QOSNotAllowed", "launch failed requeued held", "JobHoldMaxRequeue"}
ENDED = {"COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "OUT_OF_MEMORY", "BOOT_FAIL", "DEADLINE"}
ENDED |= {"PREEMPTED", "REVOKED"}


@dataclass(frozen=True)
class Queued:
    """A job that Slurm has not finished. state: such as RUNNING; reason: why it waits; node: where it runs; comment:
    key of its task."""

    state: str
    reason: str
    node: str
    comment: str

    @property
    def never(self) -> bool:
        """Whether it can never begin."""
        return self.state == "PENDING" and self.reason in NEVER

    @property
    def completes(self) -> bool:
        """Whether it is being cleared away, or has been queued again just now."""
        return self.state == "COMPLETING"

    @property
    def runs(self) -> bool:
        return self.state not in ("PENDING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "SPECIAL_EXIT")


def queued() -> dict[str, Queued]:
    """Returns the user's jobs that wait or run. Raises BadInput if Slurm does not answer."""
    listed = _run("squeue", "--all", "--noheader", "--array", "--user", str(os.getuid()), "--format", "%i|%T|%r|%N|%k")
    rows = [line.split("|", 4) for line in listed.splitlines()]
    return {job: Queued(*about) for job, *about in rows if about[0] not in ENDED}


def ended(jobs: list[str]) -> dict[str, str]:
    """Returns the states in which jobs ended, as far as Slurm still knows, such as TIMEOUT or CANCELLED."""
    found = {}
    for first in range(0, len(jobs), 200):  # a command line is limited
        part = jobs[first : first + 200]
        try:
            listed = _run("sacct", "-j", ",".join(part), "-X", "--parsable2", "--noheader", "-o", "JobID,State")
        except BadInput:  # many clusters keep no accounts
            listed = ""
        rows = [line.split("|") for line in listed.splitlines() if line.count("|")]
        found |= {job: state.split()[0] for job, state, *_ in rows if job in part}
    return found


def cancel(jobs: list[str]) -> None:
    for first in range(0, len(jobs), 200):
        _run("scancel", *jobs[first : first + 200])


def largest_array() -> int:
    """Returns the largest number of tasks that an array may have."""
    found = re.search(r"MaxArraySize\s*=\s*(\d+)", _run("scontrol", "show", "config"))
    return int(found[1]) if found else 1001


def _run(*words: str) -> str:
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=SECONDS, check=False, env=_environment())
    except FileNotFoundError:
        raise BadInput(MISSING.format(words[0])) from None
    except subprocess.TimeoutExpired:
        raise BadInput(f"Slurm does not answer: {words[0]} took longer than {SECONDS} s; try again later") from None
    if done.returncode:
        raise BadInput(f"{words[0]} failed: {' '.join((done.stderr or done.stdout).split())}")
    return done.stdout


def _environment() -> dict[str, str]:
    """Returns the environment without what the user has set for these commands, such as filters."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("SQUEUE_", "SACCT_"))}
