"""A sweep whose runs are jobs of a launcher of Hydra, seen from the process that waits for them.

Launchers raise an error when one job is lost (cancelled, out of memory, its node gone), do not wait for the others,
and Hydra then calls nothing at the end of the sweep. So `launch` of the chosen launcher is replaced while the sweep
lasts: every job is waited for, and a lost one is written down as a run that failed (stages/job.py does so for all
others), so that the sweep ends with its list. An error before there are jobs, such as an unknown partition, is the
user's to correct.
"""

import importlib.util
import io
import json
import os
import shutil
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, redirect_stderr
from pathlib import Path
from unittest.mock import patch

from hydra.core.utils import JobReturn, JobStatus
from hydra.utils import get_class
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from conf.errors import BadInput
from conf.refusals import not_installed
from stages import signals
from stages.job import SWEEP, Ended, name_of, record, recorded
from stages.launched import BASIC, COMMAND, place_of

LAUNCHER = ("hydra/launcher", "hydra.launcher.")  # beginnings of overrides
SWEEPS = "sweeps"  # folder in `output`
OF_SUBMITIT = ("*_submitted.pkl", "*_result.pkl", "*_submission.sh", ".submission_file_*.sh")
OF_HYDRA = ("multirun.yaml", SWEEP)


def prepare(config: DictConfig, keys: list[str], until: ExitStack) -> None:
    """Makes the chosen launcher ready for this sweep. keys: those that vary; until: the end of the sweep."""
    hydra = config.hydra
    target = hydra.launcher._target_
    if importlib.util.find_spec(target.rpartition(".")[0].rpartition(".")[0]) is None:
        raise not_installed(hydra.runtime.choices["hydra/launcher"])
    _check_times(hydra.launcher)
    if OmegaConf.to_container(hydra.launcher).get("name") == "${hydra.job.name}":
        with read_write(hydra):
            study = [] if {"experiment", "name"} & set(keys) else [config.name]
            hydra.launcher.name = "/".join([*study, *([",".join(keys)] if keys else [])])
    os.environ[COMMAND] = json.dumps(sys.argv)
    os.environ.setdefault("SUBMITIT_LOG_LEVEL", "ERROR")  # a failed run is a "job completed successfully" there
    quiet = "ignore:resource_tracker"  # if a sweep is interrupted, joblib's processes say what they clear away
    os.environ["PYTHONWARNINGS"] = ",".join(filter(None, (os.environ.get("PYTHONWARNINGS"), quiet)))
    launcher = get_class(target)
    until.enter_context(patch.object(launcher, "launch", _surviving(launcher.launch)))


def run_here(hydra: DictConfig) -> None:
    """Replaces the launcher by Hydra's own, as a plan needs no jobs, and with one process joblib starts none."""
    with read_write(hydra), open_dict(hydra):
        hydra.launcher = {"_target_": BASIC}
        hydra.overrides.hydra = [word for word in hydra.overrides.hydra if not word.lstrip("+").startswith(LAUNCHER)]


def new_folder(config: DictConfig) -> str:
    """Makes a folder for a sweep's records and logs, on the disk of the results, which all jobs see."""
    for number in range(1000):
        stamp = time.strftime("%Y-%m-%d_%H-%M-%S") + (f"_{number}" if number else "")
        folder = Path(config.output, SWEEPS, stamp)
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        return str(folder)
    raise BadInput(f"{folder.parent} has too many folders of the same second")


def tidy(folder: Path, own: bool) -> None:
    """Removes what launchers leave in the sweep's folder, apart from logs, and if it is the sweep's own, what Hydra
    does."""
    for file in _leavings(folder, own):
        file.unlink(missing_ok=True)
    for inner in [*(path for path in folder.rglob("*") if path.is_dir()), folder]:
        if not any(inner.iterdir()):
            inner.rmdir()


def _leavings(folder: Path, own: bool) -> list[Path]:
    return [file for pattern in (*OF_SUBMITIT, *(OF_HYDRA if own else ())) for file in folder.rglob(pattern)]


def _check_times(launcher: DictConfig) -> None:
    delay, minutes = launcher.get("signal_delay_s"), launcher.get("timeout_min")
    if delay and delay > 30 * minutes:
        raise BadInput(
            f"hydra.launcher.signal_delay_s={delay} (seconds) must be at most half of the time of a job, "
            f"hydra.launcher.timeout_min={minutes} (minutes): otherwise jobs end when they have hardly begun"
        )


def _surviving(launch: Callable) -> Callable:
    def survived(self: object, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> list[JobReturn]:
        folder = Path(self.config.hydra.sweep.dir)
        numbered = enumerate(job_overrides, initial_job_idx)
        names = {number: name_of(folder, number, words) for number, words in numbered}
        begun: list[object] = []
        try:
            with (_all_waited_for if _is_submitits(self) else _quiet)(folder, names, begun):
                returned = launch(self, job_overrides, initial_job_idx)
            whys = [str(each._return_value) for each in returned]  # None, or an error in recording how it ended
        except Exception as error:
            if _is_submitits(self) and not begun:
                _remove_own(self.config)
                raise _refused(error) from error
            why = f"a process of the sweep was lost ({type(error).__name__}): run the same command to go on"
            whys = [why] * len(names)
        for (number, name), why in zip(names.items(), whys, strict=True):
            if recorded(folder, number) is None:
                record(folder, number, Ended(name, None, False, 1, why))
        return [_completed() for _ in names]

    return survived


@contextmanager
def _all_waited_for(folder: Path, names: dict[int, str], begun: list) -> Iterator[None]:
    """Lets submitit's launcher wait for every job, and says how each ended."""
    from submitit.core import core
    from submitit.local import local

    results, start, numbers, told, until = core.Job.results, local.start_controller, {}, set(), ExitStack()

    def survived(job: object) -> list:
        number = numbers.setdefault(job.job_id, min(names) + len(numbers))  # tasks of one job have its number
        if not begun:
            begun.append(job)
            until.close()
            _begin(folder, names, here=type(job) is local.LocalJob)
            until.enter_context(signals.doing(_waiting(job)))
        try:
            return results(job)
        except Exception as error:
            if recorded(folder, number) is None:
                record(folder, number, Ended(names[number], None, False, 1, _lost(job, error), _log(folder, job)))
            return [_completed()]
        finally:
            if number not in told and (ended := recorded(folder, number)):
                told.add(number)
                print(ended.line(), flush=True)

    def started(*given: object, **named: object) -> object:
        signals.started.append(process := start(*given, **named))
        return process

    until.enter_context(redirect_stderr(io.StringIO()))  # sbatch's own words are part of the error
    with until, patch.object(core.Job, "results", survived), patch.object(local, "start_controller", started):
        yield
    signals.started.clear()  # they have ended, and how is known


@contextmanager
def _quiet(folder: Path, names: dict[int, str], _: list) -> Iterator[None]:
    """Lets joblib start its processes without words of its own."""
    _begin(folder, names, here=True)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="joblib")
        yield


def _begin(folder: Path, names: dict[int, str], here: bool) -> None:
    """here: whether the runs end with this process; then only their logs stay."""
    if here:
        signals.unfinished.update(_leavings(folder, own=folder.parent.name == SWEEPS))
    print(f"{len(names)} run{'s' * (len(names) != 1)}, each with a log in {folder}", flush=True)


def _remove_own(config: DictConfig) -> None:
    folder = Path(config.hydra.sweep.dir)
    if folder.parent == Path(config.output, SWEEPS):
        shutil.rmtree(folder, ignore_errors=True)


def _refused(error: Exception) -> Exception:
    """Returns the reason why no job could be started; sbatch itself says what is wrong with the options."""
    if not isinstance(error, RuntimeError | OSError):
        return error
    words = "; ".join(line.strip() for line in str(error).splitlines() if line.strip())
    return BadInput(f"the sweep's jobs could not be started: {words}")


def _waiting(job: object) -> str:
    identity = job.job_id.partition("_")[0]
    ends = "" if type(job).__name__ == "LocalJob" else f", which go on (scancel {identity} ends them)"
    return f"while it waited for the jobs of a sweep{ends}"


def _is_submitits(launcher: object) -> bool:
    return type(launcher).__module__.startswith("hydra_plugins.hydra_submitit_launcher")


def _completed() -> JobReturn:
    return JobReturn(status=JobStatus.COMPLETED)


def _lost(job: object, error: Exception) -> str:
    from submitit.core.utils import FailedJobError

    if isinstance(error, FailedJobError):
        return f"its job {job.job_id} failed: {_last_line(error.args[0].partition('----------------------')[2])}"
    state = job.state.split()[0]
    how = "" if state in ("FINISHED", "UNKNOWN", "INTERRUPTED") else f" ({state})"
    return f"its job {job.job_id} was ended{how}: run the same command to go on"


def _log(folder: Path, job: object) -> str:
    return place_of(job.paths.stdout, folder)


def _last_line(error: object) -> str:
    lines = [line.strip() for line in str(error).partition("-" * 22)[0].splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
