"""A run that a launcher has started, seen from its own process: what run.py does at its beginning is done here.

Launchers start processes of their own and call there the function that runs one study (stages/job.py); run.py is not
the program then. So signals, the settings of stages/speed.py, and the command that Lightning repeats for further
devices are set up here. What such a process says goes into a log of its own.
"""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

from omegaconf import DictConfig

from stages import requeue, signals, speed

BASIC = "hydra._internal.core_plugins.basic_launcher.BasicLauncher"  # Hydra's own: one run after the other, in place
COMMAND = "STUDY_COMMAND"  # in the environment: the command of the sweep
LOG = "{}.log"
_terminal: list[int] = []  # where the sweep's own process prints to


def starts_processes(hydra: DictConfig) -> bool:
    """Tells whether a launcher starts further processes for the runs of a sweep."""
    return hydra.launcher._target_ != BASIC


def begin(hydra: DictConfig, gave_up: Callable[[str], object]) -> str | None:
    """Prepares this process for a run, if a launcher has started it, and returns its log.

    hydra: its part of a job's configuration; gave_up: see stages/requeue.py.
    """
    if not starts_processes(hydra):
        return None
    speed.prepare()
    sys.argv = json.loads(os.environ.get(COMMAND, "null")) or sys.argv
    sys.modules["__main__"].__spec__ = None  # Lightning starts the program sys.argv[0], not submitit once more
    log = _in_submitit(gave_up) if _is_submitits() else _in_a_worker(hydra)
    os.environ[signals.FIRST] = str(os.getpid())
    return place_of(log, Path(hydra.sweep.dir))


def place_of(log: Path, folder: Path) -> str:
    """Returns the path of a log as the user would write it. folder: the sweep's."""
    inside = log.is_relative_to(folder.absolute())
    return str(folder / log.relative_to(folder.absolute()) if inside else log)


def tell(line: str) -> None:
    """Prints a line where the sweep was started, if this process can."""
    for terminal in _terminal:
        os.write(terminal, f"{line}\n".encode())


def end_of_work() -> None:
    """Makes a job whose run has ended ignore the warning before its time limit."""
    if _is_submitits():
        requeue.end_of_work()


def _is_submitits() -> bool:
    return "submitit.core.submission" in sys.modules


def _in_submitit(gave_up: Callable[[str], object]) -> Path:
    from submitit import JobEnvironment

    here = JobEnvironment()
    if here.cluster == "local":  # its parent passes SIGTERM on, and ends with the sweep
        signals.watch(first=False, parent=int(os.environ["SUBMITIT_LOCAL_JOB_ID"]))
    else:
        requeue.expect_the_end()
    requeue.heed(gave_up)
    return here.paths.stdout


def _in_a_worker(hydra: DictConfig) -> Path:
    """Of joblib's, which does several runs one after the other."""
    if not _terminal:
        signals.watch(first=False)
        _terminal.append(os.dup(1))
    log = Path(hydra.sweep.dir, LOG.format(hydra.job.num + 1)).absolute()
    with log.open("ab") as file:
        for number in (1, 2):
            os.dup2(file.fileno(), number)
    return log
