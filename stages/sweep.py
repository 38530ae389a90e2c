"""A sweep (python run.py -m ...) from its beginning to the list at its end.

    7 done, 1 failed
      [3/8] seed=2: finetune.lr=-1 is not allowed: ...; its folder: outputs/digits/finetune.lr=-1/seed=2

Hydra writes multirun.yaml into hydra.sweep.dir, and the runs of the sweep record there how they ended
(stages/job.py). Unless the user names a folder, it is a temporary one; if a launcher starts processes for the runs
(stages/launchers.py), it lies in `output`, which all of them see, and their logs stay there.
"""

import importlib
import json
import os
import shutil
import socket
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from hydra.experimental.callback import Callback
from omegaconf import DictConfig, open_dict, read_write

from conf.errors import BadInput
from conf.sweeps import refuse_job_by_job, swept
from stages import processes
from stages.ending import errors_in_one_line, line_and_code, say, show_traceback
from stages.files import remove, write_text
from stages.job import SWEEP, Ended, all_ended
from stages.launched import starts_processes
from stages.launchers import new_folder, prepare, run_here, tidy
from stages.locks import locked
from stages.processes import is_first_process
from stages.signals import doing, unfinished

SUMMARY = "analysis.summarise"  # its function `summarise` takes the folders of runs, and says where the summary is
until_the_end = ExitStack()


class Sweep(Callback):
    """A callback of Hydra (conf/config.yaml: hydra.callbacks). Hydra only warns of an exception here."""

    _count: int | None = None  # number of runs
    _own = False  # whether the sweep's folder was made for it

    def on_run_start(self, config: DictConfig, **_: object) -> None:
        with errors_in_one_line():
            if starts_processes(config.hydra) and config.plan is not True:
                launcher = config.hydra.runtime.choices["hydra/launcher"]
                raise BadInput(f"hydra/launcher={launcher} starts the runs of a sweep: add -m, for a single run, too")

    def on_multirun_start(self, config: DictConfig, **_: object) -> None:
        with errors_in_one_line():
            if processes.tasks() > 1:
                raise BadInput(
                    "a sweep can't run in several processes of srun or torchrun: start them for each of its runs, or "
                    "let hydra/launcher=slurm hydra.launcher.tasks_per_node=... do it"
                )
            until_the_end.enter_context(doing("in a sweep"))  # runs in other processes do not say what they do
            if config.plan is True or config.hydra.launcher.get("n_jobs") == 1:
                run_here(config.hydra)
            elsewhere = starts_processes(config.hydra)
            keys, self._count = swept(config.hydra)
            if elsewhere:
                prepare(config, keys, until_the_end)
            self._own = not config.hydra.sweep.dir or config.plan is True
            if not self._own:
                _check_free(Path(config.hydra.sweep.dir))
            else:
                _lies_in(new_folder(config) if elsewhere else _scrap(), config.hydra)
            folder = Path(config.hydra.sweep.dir)
            _clear(folder)
            write_text(folder / SWEEP, json.dumps({"keys": keys, "count": self._count}))
            refuse_job_by_job()

    def on_multirun_end(self, config: DictConfig, **_: object) -> None:
        if not is_first_process():
            return
        with errors_in_one_line(), doing("at the end of the sweep"):
            folder = Path(config.hydra.sweep.dir)
            ended = list(all_ended(folder, self._count))
            _clear(folder)
            if starts_processes(config.hydra):
                tidy(folder, self._own)
            until_the_end.close()
            print(listed(ended, "planned" if config.plan else "done"), flush=True)
            code = summarised(ended) or exit_code(ended)
            if code:
                sys.exit(code)


def listed(ended: list[Ended], done: str) -> str:
    """Says how many runs are `done`, how many failed, and what is known of each that failed."""
    failed = [one for one in ended if one.code]
    counts = [f"{len(ended) - len(failed)} {done}", *([f"{len(failed)} failed"] if failed else [])]
    return "\n".join([", ".join(counts), *(f"  {one.name}: {one.why}{_folder(one)}{_log(one)}" for one in failed)])


def _folder(one: Ended) -> str:
    known = one.folder and one.folder not in one.why and Path(one.folder).exists()
    return f"; its folder: {one.folder}" if known else ""


def _log(one: Ended) -> str:
    return f"; its log: {one.log}" if one.log and Path(one.log).exists() else ""


def exit_code(ended: list[Ended]) -> int:
    """Returns the exit code of all runs that failed, or 1 if these codes differ."""
    codes = {one.code for one in ended if one.code}
    return codes.pop() if len(codes) == 1 else min(len(codes), 1)


def summarised(ended: list[Ended]) -> int:
    """Summarises the runs that are done and have tables, if they are two or more. Returns 1 if that fails."""
    runs = [Path(folder) for folder in dict.fromkeys(one.folder for one in ended if one.analysed)]
    if len(runs) < 2:
        return 0
    try:
        importlib.import_module(SUMMARY).summarise(runs)
    except Exception as error:
        show_traceback(error)
        line, _ = line_and_code(error)
        say(f"no summary of the sweep: {line or f'{type(error).__name__}: {error} (HYDRA_FULL_ERROR=1 shows where)'}")
        return 1
    return 0


def _scrap() -> str:
    """Makes a temporary folder, which is removed when the program ends in any way, or else by the next sweep."""
    beginning = f"sweep-{socket.gethostname()}-"
    for left in Path(tempfile.gettempdir()).glob(f"{beginning}*-*"):
        pid = left.name.removeprefix(beginning).partition("-")[0]
        if pid.isdigit() and not _is_alive(int(pid)):
            shutil.rmtree(left, ignore_errors=True)
    folder = until_the_end.enter_context(tempfile.TemporaryDirectory(prefix=f"{beginning}{os.getpid()}-"))
    unfinished.add(Path(folder))
    return folder


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # another user's
        return True
    return True


def _lies_in(folder: str, hydra: DictConfig) -> None:
    """Puts the sweep's folder, but not its runs, there."""
    with read_write(hydra), open_dict(hydra):
        hydra.sweep.dir = folder
        hydra.overrides.hydra.append(f"hydra.sweep.dir={folder}")


def _check_free(folder: Path) -> None:
    """Holds a folder of the user's until the end. Raises BadInput if another sweep does."""
    if not until_the_end.enter_context(locked(folder, wait=False)):
        raise BadInput(f"hydra.sweep.dir={folder} is the folder of another sweep that runs: choose another one")


def _clear(folder: Path) -> None:
    """Removes the files in which runs record how they ended."""
    for file in [folder / SWEEP, *folder.glob("job-*.json")]:
        remove(file)
