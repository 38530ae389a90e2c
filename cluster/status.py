"""Says how the jobs of cluster.submit are:

    python -m cluster.status [output=outputs] [name=STUDY] [--follow | cancel | forget]

    12 done, 2 running, 5 queued, 1 failed
      running  103       finetune of outputs/digits/seed=0: epoch 3/20, test accuracy 0.812, 1:20 left, node7
      queued   119       interactions/finetune, join of 16 shards of outputs/digits/seed=0: waits for other jobs
      failed   104       scratch of outputs/digits/seed=0: the loss is nan in epoch 2; ...; log: outputs/cluster/...

--follow says so again whenever a job has begun or ended, until all have ended (exit code 1 if one has failed); cancel
ends all jobs that wait or run; forget leaves out of the list what has failed or was cancelled. What failed is submitted
again by the same cluster.submit.
"""

import sys
import time
from pathlib import Path

from cluster import queue, records
from cluster.records import Submitted
from cluster.states import DONE, FAILED, QUEUED, RUNNING, head, lines, states_of
from conf.errors import BadInput
from stages import signals
from stages.command import errors_in_one_line
from stages.signals import doing

EVERY, PATIENCE = 5, 60  # seconds from one look to the next; looks at a Slurm that does not answer
FOLLOW, CANCEL, FORGET = "--follow", "cancel", "forget"


def main(words: list[str] | None = None) -> None:
    words = sys.argv[1:] if words is None else words
    if {"-h", "--help"} & set(words):
        print(__doc__)
        return
    with errors_in_one_line(), doing("in cluster.status"):
        given = _given(words)
        output, name = Path(given.get("output", "outputs")), given.get("name")
        if CANCEL in words:
            _cancel(output, name)
        elif FORGET in words:
            _forget(output, name)
        elif FOLLOW in words:
            sys.exit(_follow(output, name))
        else:
            count, shown, _ = _look(output, name)
            print("\n".join([count, *shown]))


def _given(words: list[str]) -> dict[str, str]:
    given = dict(word.split("=", 1) for word in words if "=" in word)
    flags, keys = (FOLLOW, CANCEL, FORGET), ("output", "name")
    if unknown := [word for word in words if word not in flags and word.partition("=")[0] not in keys]:
        raise BadInput(f"{unknown[0]} is not known: output=..., name=..., {', '.join(flags)} are")
    return given


def _look(output: Path, name: str | None) -> tuple[str, list[str], set[str]]:
    """Returns the counts, the lines to show, and the states that jobs have."""
    submitted = _submitted(output, name)
    states = states_of(output, submitted)
    known = {state.state for of_task in states.values() for state in of_task}
    return head(states), list(lines(output, submitted, states)), known


def _submitted(output: Path, name: str | None) -> list[Submitted]:
    found = [one for one in records.all_of(output) if name in (None, one.study)]
    if not found:
        study = f" of the study {name}" if name else ""
        raise BadInput(f"{records.jobs_folder(output)} has no jobs{study}: python -m cluster.submit submits a study")
    return found


def _follow(output: Path, name: str | None) -> int:
    """Shows changes until all jobs have ended. Returns 1 if one has failed."""
    before, told = "", set()
    while True:
        count, shown, states = _look_again(output, name)
        over = not states & {RUNNING, QUEUED}
        new = [line for line in shown if line.split()[0] in (RUNNING, *([FAILED] if line not in told or over else []))]
        if count != before:
            print("\n".join([f"{time.strftime('%H:%M:%S')}  {count}", *new]), flush=True)
        if over:
            return int(FAILED in states)
        before, told = count, {*told, *shown}
        time.sleep(EVERY)


def _look_again(output: Path, name: str | None) -> tuple[str, list[str], set[str]]:
    """Does the same as `_look`, and again if Slurm does not answer for a while."""
    for attempt in range(PATIENCE):
        try:
            return _look(output, name)
        except BadInput as error:
            if not records.jobs_folder(output).exists() or attempt == PATIENCE - 1:
                raise
            print(f"{error}; asked again in {EVERY} s", flush=True)
            time.sleep(EVERY)
    raise AssertionError("the last attempt returns or raises")


def _cancel(output: Path, name: str | None) -> None:
    there, cancelled = queue.queued(), []
    for one in _submitted(output, name):
        jobs = [one.jobs[number] for number in records.in_queue(output, one, there)]
        for job in jobs:
            records.note_cancelled(records.logs_folder(output, one.key), job)
        cancelled += jobs
    if cancelled:
        queue.cancel(cancelled)
        print(f"{len(cancelled)} job{'s' * (len(cancelled) > 1)} cancelled: submit the study again to go on")
    else:
        print("no job waits or runs")


def _forget(output: Path, name: str | None) -> None:
    """Removes the records of tasks of which no job waits or runs, and that are not done."""
    submitted = _submitted(output, name)
    states = states_of(output, submitted)
    gone = [one for one in submitted if not {state.state for state in states[one.key]} & {RUNNING, QUEUED, DONE}]
    for one in gone:
        (records.jobs_folder(output) / f"{one.key}.json").unlink(missing_ok=True)
    print(f"{len(gone)} task{'s' * (len(gone) != 1)} forgotten; their logs stay")


if __name__ == "__main__":
    signals.watch()
    main()
