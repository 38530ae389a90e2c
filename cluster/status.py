"""Says how the jobs of cluster.submit are: python -m cluster.status [output=outputs] [name=STUDY] [--follow | cancel]

    12 done, 2 running, 5 queued, 1 failed
      running  103       finetune of outputs/digits/seed=0: epoch 3/20, test accuracy 0.812, 1:20 left, node7
      queued   119       interactions/finetune, join of 16 shards of outputs/digits/seed=0: Dependency
      failed   104       scratch of outputs/digits/seed=0: the loss is nan in epoch 2; ...; log: outputs/cluster/...

--follow prints that again whenever it has changed, until all jobs have ended (exit code 1 if one has failed); cancel
ends all jobs that wait or run. What failed is submitted again by the same cluster.submit.
"""

import sys
import time
from pathlib import Path

from cluster import queue, records
from cluster.records import Submitted
from cluster.states import FAILED, QUEUED, RUNNING, lines, states_of
from conf.errors import BadInput
from stages.command import errors_in_one_line

EVERY, PATIENCE = 5, 60  # seconds from one look to the next; looks at a Slurm that does not answer
FOLLOW, CANCEL = "--follow", "cancel"


def main(words: list[str] | None = None) -> None:
    words = sys.argv[1:] if words is None else words
    if {"-h", "--help"} & set(words):
        print(__doc__)
        return
    with errors_in_one_line():
        given = _given(words)
        output = Path(given.get("output", "outputs"))
        if CANCEL in words:
            _cancel(output, given.get("name"))
        elif FOLLOW in words:
            sys.exit(_follow(output, given.get("name")))
        else:
            print("\n".join(_look(output, given.get("name"))[0]))


def _given(words: list[str]) -> dict[str, str]:
    given = dict(word.split("=", 1) for word in words if "=" in word)
    unknown = [
        word for word in words if word not in (FOLLOW, CANCEL) and word.partition("=")[0] not in ("output", "name")
    ]
    if unknown:
        raise BadInput(f"{unknown[0]} is not known: output=..., name=..., {FOLLOW} and {CANCEL} are")
    return given


def _look(output: Path, name: str | None) -> tuple[list[str], set[str]]:
    """Returns the lines to show, and the states that jobs have."""
    submitted = _submitted(output, name)
    states = states_of(output, submitted)
    return list(lines(output, submitted, states)), {state.state for one in states.values() for state in one}


def _submitted(output: Path, name: str | None) -> list[Submitted]:
    found = [one for one in records.all_of(output) if name in (None, one.study)]
    if not found:
        study = f" of the study {name}" if name else ""
        raise BadInput(f"{records.jobs_folder(output)} has no jobs{study}: python -m cluster.submit submits a study")
    return found


def _follow(output: Path, name: str | None) -> int:
    """Shows changes until all jobs have ended. Returns 1 if one has failed."""
    before: list[str] = []
    while True:
        shown, states = _look_again(output, name)
        if shown != before:
            print("\n".join([time.strftime("%H:%M:%S"), *shown]), flush=True)
        if not states & {RUNNING, QUEUED}:
            return int(FAILED in states)
        before = shown
        time.sleep(EVERY)


def _look_again(output: Path, name: str | None) -> tuple[list[str], set[str]]:
    """Does the same as `_look`, and again if Slurm does not answer for a while."""
    for attempt in range(PATIENCE):
        try:
            return _look(output, name)
        except BadInput as error:
            if not records.jobs_folder(output).exists() or attempt == PATIENCE - 1:
                raise
            print(f"{error}; asked again in {EVERY} s", flush=True)
            time.sleep(EVERY)
    raise AssertionError


def _cancel(output: Path, name: str | None) -> None:
    there = queue.queued()
    jobs = [one.jobs[number] for one in _submitted(output, name) for number in records.in_queue(output, one, there)]
    if jobs:
        queue.cancel(jobs)
    print(f"{len(jobs)} job{'s' * (len(jobs) != 1)} cancelled; the same cluster.submit goes on where they were")


if __name__ == "__main__":
    main()
