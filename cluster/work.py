"""What a job does on its node: it makes one result, or a share of one, of the run that its words compose.

submitit starts it there (the object is pickled), and handles the signal before the time limit: it queues the job again,
and calls `checkpoint` for what is to be done then, which is the same. Everything goes on where it was.
"""

import logging
import os
from dataclasses import dataclass, field, replace
from pathlib import Path

from analysis.verdicts import show_claims
from cluster import records
from cluster.runs import composed, hydras
from cluster.shards import left
from cluster.tasks import FOLDER, JOIN, SHARDS, SUMMARY
from cluster.tasks import called as task_called
from conf.errors import BadInput
from stages import requeue, runner, signals, speed, table
from stages.ending import line_and_code, say
from stages.identity import Result
from stages.job import bug
from stages.processes import is_first_process
from stages.progress import called
from stages.records import write_record
from stages.results import is_complete
from stages.versions import ROOT, commit_of

OFTEN = "as that was done cluster.timeouts times: submit the study again to go on, with more minutes in cluster.<stage>"


@dataclass(frozen=True)
class Work:
    """See cluster/tasks.py. logs: the folder of its logs; cwd: where it was submitted; runs: folders of the runs that a
    summary is of."""

    what: str
    kind: str
    shards: int
    words: tuple[str, ...]
    digest: str
    folder: str
    run: str
    logs: str
    cwd: str
    commit: str | None
    shard: int = 1
    runs: tuple[str, ...] = field(default=())

    def __call__(self) -> str:
        """Returns the folder of what was made. Ends the process with the exit code of the program otherwise."""
        logging.getLogger("submitit").setLevel(logging.WARNING)
        try:
            os.chdir(self.cwd)
            speed.prepare()  # before torch is imported
            signals.watch(first=is_first_process(), parent=os.getppid())
            requeue.heed(gave_up=lambda why: self._record(why, 1), often=OFTEN)
            self._say_hello()
            with signals.doing(f"in {self.called}"):
                self._make()
            requeue.end_of_work()
        except Exception as error:
            line, code = line_and_code(error)
            signals.let_it_end()
            why = line or bug(error, self.run)
            if is_first_process():
                self._record(why, code)
                say(f"{self.called}: failed: {why}")
            signals.leave(code)
        return self.folder

    def checkpoint(self) -> object:
        """Returns what submitit runs when the job begins again."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)

    @property
    def called(self) -> str:
        return task_called(self.what, self.kind, self.shards, self.shard)

    def of_shard(self, number: int) -> "Work":
        return replace(self, shard=number)

    def _say_hello(self) -> None:
        if not is_first_process():
            return
        now = commit_of(ROOT)
        print(f"{self.called} of {self.run}: job {job_id()} on {os.uname().nodename}, commit {now}", flush=True)
        if now != self.commit:
            print(f"the code has changed since this was submitted: it was at commit {self.commit}", flush=True)
        records.failure_file(Path(self.logs), job_id()).unlink(missing_ok=True)  # of an earlier attempt

    def _make(self) -> None:
        with hydras():
            if self.what == SUMMARY:
                self._summarise()
                return
            run = composed(self.words)
            called(run.cfg.run_dir)
            if self.what == FOLDER:
                self._check([one for stage in table.chosen(run.cfg) for one in runner.left_by(run.results, stage)])
                runner.run_study(run.cfg, run.chosen)
                return
            result = run.results[self.what]
            if result.digest != self.digest:
                raise BadInput(
                    f"{self.what} is another result now than when it was submitted (the program, or files of yours, "
                    f"have changed since): submit the study again"
                )
            self._check(list(result.inputs.values()))
            section = run.cfg.get(result.stage.name)
            if self.kind == JOIN and (numbers := left(run, self.what, self.shards)):
                raise BadInput(
                    f"shard{'s' * (len(numbers) > 1)} {', '.join(map(str, sorted(numbers)))} of {self.shards} "
                    f"{'are' if len(numbers) > 1 else 'is'} missing: submit the study again, which runs what is missing"
                )
            if self.kind:
                section.shard = f"{self.shard if self.kind == SHARDS else JOIN}/{self.shards}"
            if self.kind == JOIN and result.stage.name == "interactions":
                section.device = "auto"  # a join needs no GPU, and has none
            runner.run_study(run.cfg, run.chosen, only=self.what)
            if result.stage.in_run:
                show_claims(result.folder)

    def _check(self, needed: list[Result]) -> None:
        """Raises BadInput if something that this is made from is not complete, whatever the scheduler says."""
        missing = [result for result in needed if not result.stage.in_run and not is_complete(result)]
        if missing:
            raise BadInput(
                f"{', '.join(result.name for result in missing[:3])}{', ...' if len(missing) > 3 else ''} "
                f"{'are' if len(missing) > 1 else 'is'} not complete ({missing[0].folder}): python -m cluster.status "
                f"says what has failed; then submit the study again"
            )

    def _summarise(self) -> None:
        from analysis.summarise import summarise

        if summarise([Path(run) for run in self.runs]) is None:
            raise BadInput("there are no two runs with tables to be summed up")

    def _record(self, why: str, code: int) -> None:
        write_record(records.failure_file(Path(self.logs), job_id()), {"why": why, "code": code, "what": self.called})


def job_id() -> str:
    """Returns the job's name in Slurm, such as 103 or 103_4."""
    array = os.environ.get("SLURM_ARRAY_JOB_ID")
    return f"{array}_{os.environ['SLURM_ARRAY_TASK_ID']}" if array else os.environ.get("SLURM_JOB_ID", "0")
