"""What ends the program from outside: SIGTERM, which schedulers send, and Ctrl-C.

Whatever is made here can be killed at any moment and goes on with the same command. So a signal need not become an
exception, which libraries on its way swallow, or take for one of their own: the process says in one line what was
interrupted, ends the processes that it started, removes what it was writing, and is gone.

One process speaks, the one that the user started. Those that it started end in silence: by a signal that comes to all
of them (as Ctrl-C does in a terminal), because it ends them, or soon after it has ended in whatever way.
"""

import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}  # what shells and schedulers take for "ended by this signal"
NAMES = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM"}
PATIENCE = 1  # seconds for those that were started to end by themselves

unfinished: set[Path] = set()  # files and folders that this process is writing, and will rename when they are whole
started: list[subprocess.Popen] = []  # processes that compute with this one, beside those of multiprocessing
_doing = ["before any work"]


def watch(first: bool = True, parent: int | None = None) -> None:
    """From now on a signal ends this process. To be called in the main thread.

    first: whether it is the one that the user started. Any other ends when `parent` has ended, the process that started
    it (by default, the one that did).
    """
    for number in CODES:
        signal.signal(number, partial(_end, first, os.getpid()))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, CODES)  # see `held`
    if not first:
        threading.Thread(target=_follow, args=(parent or os.getppid(),), daemon=True).start()


@contextmanager
def held() -> Iterator[None]:
    """Signals wait until afterwards; in processes that are started meanwhile, until they call `watch`."""
    signal.pthread_sigmask(signal.SIG_BLOCK, CODES)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, CODES)


@contextmanager
def doing(what: str) -> Iterator[None]:
    """Names what is interrupted by a signal, such as "in finetune"."""
    _doing.append(what)
    try:
        yield
    finally:
        _doing.pop()


def below_bars(line: str) -> str:
    """The line, on a line of its own even if a progress bar is on the last one."""
    bars = getattr(sys.modules.get("tqdm"), "tqdm", None)
    is_open = any(not bar.disable for bar in list(getattr(bars, "_instances", ())))
    return "\n" * is_open + line + "\n"


def leave(code: int) -> None:
    """Ends this process at once, with whatever it started, and removes what it was writing."""
    with suppress(ValueError):  # in another thread than the main one
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # to PyTorch it is an error if those that load its data end
    _end_started()
    for path in unfinished:
        shutil.rmtree(path, ignore_errors=True)
        with suppress(OSError):
            path.unlink()
    with suppress(Exception):  # it may have been interrupted while it wrote there
        sys.stdout.flush()
    os._exit(code)


def _end(first: bool, process: int, number: int, _: object) -> None:
    for one in CODES:
        signal.signal(one, signal.SIG_DFL)  # whoever sends a second one wants no patience
    if os.getpid() != process:  # it was forked, to load data
        os._exit(CODES[number])
    if first:
        line = f"interrupted by {NAMES[number]} {_doing[-1]}: run the same command to go on"
        os.write(2, below_bars(line).encode())
    leave(CODES[number])


def _end_started() -> None:
    """SIGTERM, and SIGKILL for whoever computes on (a process that waits for others hears no signal)."""
    pids = [child.pid for child in (*multiprocessing.active_children(), *started)]
    for number in (signal.SIGTERM, signal.SIGKILL):
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, number)
        deadline = time.monotonic() + PATIENCE
        while (pids := [pid for pid in pids if not _has_ended(pid)]) and time.monotonic() < deadline:
            time.sleep(0.02)


def _has_ended(pid: int) -> bool:
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    except ChildProcessError:  # and somebody has asked for its exit code already
        return True


def _follow(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.3)
    leave(1)
