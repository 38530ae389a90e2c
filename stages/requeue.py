"""Jobs of a scheduler that are interrupted: who does what.

Slurm    warns a job with SIGUSR2 before its time limit, and where the cluster is set up so also before it gives the
         job's place to another one. It ends jobs (scancel, scontrol requeue) with SIGTERM, and KillWait seconds later
         with SIGKILL.
submitit hears SIGUSR2, asks Slurm to queue the job again (scontrol requeue), and then raises SystemExit in whatever
         the program is doing. It ignores SIGTERM: while a job's place is taken, SIGTERM comes first, SIGUSR2 later.
we       turn that SystemExit, which would look like a study that failed, into an end at once: with one line, and
         with the processes that this one started. The job starts again with the same command, and everything here
         goes on where it was. After SIGTERM the processes that this one needs (W&B's, those that load data) may be
         gone already, so an error is not a failure then: Slurm ends this process anyway.
Lightning has a way of its own (SIGUSR1), which has nothing to do here.
"""

import os
import signal
from collections.abc import Callable
from types import FrameType

from stages import signals

OFTEN = "as that was done hydra.launcher.max_num_timeout times: run the same command to go on"
COMING = 300  # seconds in which Slurm ends a process that it has sent SIGTERM; then an error counts as one


def heed(gave_up: Callable[[str], object] = lambda why: None, often: str = OFTEN) -> None:
    """Changes submitit's handlers of signals; call it in the main thread of a job that submitit has started.

    gave_up: gets the reason if the job ends because it can't be queued again. Its exit code is 1 then. often: what to
    say if it was queued again as often as is allowed.
    """
    from submitit.core.job_environment import JobEnvironment  # not everybody has it

    number = JobEnvironment._usr_sig()
    theirs = signal.getsignal(number)

    def interrupted(number: int, frame: FrameType | None) -> None:
        limit = theirs.__self__.has_timed_out()
        what = "the time limit" if limit else "the scheduler"
        try:
            theirs(number, frame)  # returns in further processes of a training: the first one does it for all
        except SystemExit as left:
            _say(f"interrupted by {what} {signals.doing_now()}: queued again, goes on where it was")
            signals.leave(int(left.code) & 0xFF)
        except Exception as error:
            why = _refusal(error, often if limit else "", theirs.__self__._delayed._timeout_countdown)
            _say(f"interrupted by {what} {signals.doing_now()}: {why}")
            gave_up(f"interrupted by {what}: {why}")
            signals.leave(1)

    signal.signal(number, interrupted)


def expect_the_end() -> None:
    """Makes errors wait for SIGKILL after a SIGTERM, which is no reason to end by itself."""
    signal.signal(signal.SIGTERM, lambda number, frame: signals.end_is_coming(COMING))


def end_of_work() -> None:
    """Makes a job whose work is done deaf: a warning that comes while it closes down would kill it, as failed."""
    from submitit.core.job_environment import JobEnvironment

    signal.signal(JobEnvironment._usr_sig(), signal.SIG_IGN)


def _refusal(error: Exception, often: str, left: int) -> str:
    if often and left <= 0:
        return f"not queued again, {often}"
    return f"it could not be queued again ({' '.join(str(error).split())}): run the same command to go on"


def _say(line: str) -> None:
    os.write(2, f"{line}\n".encode())  # not with print, which the signal may have interrupted
