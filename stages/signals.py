"""Handles signals that end the program: Ctrl-C, and those of schedulers, SIGTERM and SIGUSR1.

Everything that is made here can be killed at any moment and continued with the same command. So a signal need not
become an exception, which libraries may swallow, or mistake for one of their own: the process says in one line what was
interrupted, ends the processes that it started, removes what it was writing, and ends. A thread does that, since the
main thread may wait for minutes without hearing Python's signals (for the other processes of a training, or for a GPU).

Only the process that the user started prints a message. Those that it started end in silence: by a signal that is
sent to all of them (as Ctrl-C is in a terminal), because the first process ends them, or soon after it has ended.

SIGUSR1 is what users let Slurm send some time before the time limit (sbatch --signal=USR1@90). Then the job goes back
into the queue. In jobs that submitit has started that is submitit's part, by SIGUSR2; Lightning has none
(training/ranks.py).
"""

import multiprocessing
import os
import select
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

CODES = {
    signal.SIGINT: 130,
    signal.SIGTERM: 143,
    signal.SIGUSR1: 138,
}  # what shells and schedulers take for "ended by this signal"
NAMES = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM", signal.SIGUSR1: "SIGUSR1"}
FIRST = "STUDY_FIRST_PROCESS"  # in the environment of the processes that this one starts: its number
PATIENCE = 1  # seconds for those that were started to end by themselves
ANSWER = 60  # seconds for Slurm to answer

unfinished: set[Path] = set()  # files and folders that this process is writing, and will rename when they are whole
last_acts: list[Callable[[], None]] = []  # what else this process does when it ends
started: list[subprocess.Popen] = []  # processes that compute with this one, beside those of multiprocessing
members: dict[str, str] = {}  # those that it did not start (stages/group.py): by name, how each has ended, or ""
_doing = ["before any work"]
_starting = threading.Lock()  # held while processes are started
_end_by = 0.0  # until then something else may end this process, which it has announced
_interrupted: list[int] = []  # the signal that is ending this process


def watch(first: bool = True, parent: int | None = None) -> None:
    """Makes signals end this process from now on. It has to be called once, in the main thread.

    first: whether the user started this process. Any other one ends when `parent` has ended, the process that
    started it. `parent` is given, or taken from the environment: asking the system would be too late, as it may have
    ended already.
    """
    heard, tell = os.pipe()
    os.set_blocking(tell, False)
    signal.set_wakeup_fd(tell, warn_on_full_buffer=False)
    for number in CODES:
        signal.signal(number, _stand_still)
    os.register_at_fork(before=_hold, after_in_parent=_release, after_in_child=_as_usual)
    _release()  # see `held`
    if first:
        os.environ[FIRST] = str(os.getpid())
    else:
        parent = parent or int(os.environ.get(FIRST, os.getppid()))
    threading.Thread(target=_listen, args=(heard, parent), daemon=True).start()


@contextmanager
def held() -> Iterator[None]:
    """Makes signals wait in processes that are started meanwhile, until these call `watch`. This process ends when
    they are started: one that is left in between would report that it was sent nothing."""
    _hold()
    try:
        with _starting:
            yield
    finally:
        _release()
    let_it_end()


@contextmanager
def doing(what: str) -> Iterator[None]:
    """Names the work that a signal would interrupt, such as "in finetune"."""
    _doing.append(what)
    try:
        yield
    finally:
        _doing.pop()


def doing_now() -> str:
    return _doing[-1]


def open_bars() -> list:
    """Returns the progress bars of tqdm that are on the last line."""
    bars = getattr(sys.modules.get("tqdm"), "tqdm", None)
    return [
        bar for bar in list(getattr(bars, "_instances", ())) if not bar.disable and not getattr(bar, "lines", False)
    ]


def let_it_end() -> None:
    """Does not return if a signal is ending this process: an error that is raised meanwhile follows from that, for
    example since the other processes of a training have gone."""
    if _interrupted:
        _stand_still(_interrupted[0], None)
    time.sleep(max(0.0, _end_by - time.monotonic()))


def end_is_coming(seconds: float) -> None:
    """Says that something else will end this process within this time."""
    global _end_by
    _end_by = time.monotonic() + seconds


def leave(code: int) -> None:
    """Ends this process at once, together with those that it started, and removes what it was writing."""
    if _starting.acquire(timeout=PATIENCE):
        _starting.release()
    end_started()
    for path in list(unfinished):
        shutil.rmtree(path, ignore_errors=True)
        with suppress(OSError):
            path.unlink()
    for act in (*last_acts, sys.stdout.flush):
        with suppress(Exception):
            act()
    os._exit(code)


def end_started() -> None:
    """Sends SIGTERM, and SIGKILL to processes that do not end (a process that waits for others hears no signal)."""
    pids = [child.pid for child in (*multiprocessing.active_children(), *started)]
    started.clear()
    for number in (signal.SIGTERM, signal.SIGKILL):
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, number)
        deadline = time.monotonic() + PATIENCE
        while (pids := [pid for pid in pids if not _has_ended(pid)]) and time.monotonic() < deadline:
            time.sleep(0.02)


def _listen(heard: int, parent: int | None) -> None:
    while True:
        if not select.select([heard], [], [], None if parent is None else 0.3)[0]:
            if os.getppid() != parent:
                leave(1)
            continue
        number = os.read(heard, 1)[0]
        if number in CODES:
            _interrupted.append(number)
            if parent is None:
                begin = "\n" if open_bars() else ""
                go_on = _requeued() if number == signal.SIGUSR1 else "run the same command to go on"
                line = f"interrupted by {NAMES[number]} {_doing[-1]}: {go_on}"
                os.write(2, f"{begin}{line}\n".encode())
            leave(CODES[number])


def _requeued() -> str:
    """Asks Slurm to run this process's job again, and returns what is left to do."""
    again, job = "run the same command to go on", os.environ.get("SLURM_JOB_ID")
    if job is None:
        return again
    try:
        asked = subprocess.run(["scontrol", "requeue", job], capture_output=True, text=True, timeout=ANSWER)
        refused = asked.stderr.strip() if asked.returncode else ""
    except (OSError, subprocess.SubprocessError) as error:
        refused = str(error)
    return f"{again} (Slurm does not: {refused})" if refused else f"Slurm runs job {job} again, which goes on"


def _stand_still(number: int, _: object) -> None:
    """Keeps the main thread still meanwhile: it begins nothing, and does not report that other processes ended."""
    if _starting.locked():  # it finishes that first
        return
    _as_usual()  # a second signal ends it at once
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # PyTorch raises an error if its data loaders end
    if number == signal.SIGUSR1:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # Slurm sends it to a job that it is asked to run again
    time.sleep(ANSWER + PATIENCE if number == signal.SIGUSR1 else 5 * PATIENCE)
    os._exit(CODES[number])  # at the very end of a program the other thread may have ended


def _as_usual() -> None:
    """Lets signals kill this process; if it was forked, its signals do not reach the process it was forked from."""
    signal.set_wakeup_fd(-1)
    for number in CODES:
        signal.signal(number, signal.SIG_DFL)
    _release()


def _hold() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, CODES)


def _release() -> None:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, CODES)


def _has_ended(pid: int) -> bool:
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    except ChildProcessError:  # its exit code was already asked for
        return True
