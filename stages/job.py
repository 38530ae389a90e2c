"""A run of a sweep. Its end is reported in one line and written down, and the sweep goes on with the next run.

    [2/8] seed=1
    ...
    [2/8] seed=1: done in 0:45, outputs/digits/seed=1
    [3/8] seed=2: failed: no space left on outputs: ...

Hydra ends a sweep at the first job that fails, and then does not call the code for its end. So no job fails as far
as Hydra knows. How each ended is a file in hydra.sweep.dir (stages/sweep.py), as a launcher may run jobs in other
processes.
"""

import json
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from conf.sweeps import check_composed
from stages import group, table
from stages.alone import alone
from stages.ending import line_and_code, say, show_traceback
from stages.files import write_text
from stages.signals import doing, end_started, let_it_end
from stages.waiting import clock

SWEEP, TRACEBACK, RECORD = "sweep.json", "traceback.txt", "job-{:06}.json"


@dataclass(frozen=True)
class Ended:
    """How a run ended. name: its number, the number of runs, and the settings in which it differs from the others;
    folder: its own, if that is known; analysed: whether it has tables there; code: its exit code; why: the reason if
    it failed."""

    name: str
    folder: str | None
    analysed: bool
    code: int = 0
    why: str = ""


def job(cfg: DictConfig, run: Callable[[DictConfig], object]) -> None:
    """Runs one job of a sweep. run: takes `cfg`, and sets its run_dir."""
    hydra, began = HydraConfig.get(), time.monotonic()
    name = _name(hydra)
    print(name, flush=True)
    code, why = 0, ""
    try:
        with doing(f"in run {name}"), alone(hydra):
            check_composed(hydra)
            run(cfg)
    except Exception as error:
        line, code = line_and_code(error)
        let_it_end()
        show_traceback(error)
        why = line or _bug(error, None if cfg.plan else cfg.run_dir)  # a plan writes nothing
        end_started()  # processes that compute with this one do not know that the sweep goes on
        group.close()
        say(f"{name}: failed: {why}")
    else:
        if not cfg.plan:
            print(f"{name}: done in {clock(time.monotonic() - began)}, {cfg.run_dir}", flush=True)
    analysed = not (code or cfg.plan) and any(stage.in_run for stage in table.chosen(cfg))
    ended = Ended(name, cfg.run_dir, analysed, code, why)
    write_text(Path(hydra.sweep.dir, RECORD.format(hydra.job.num)), json.dumps(asdict(ended)))


def all_ended(folder: Path, count: int | None) -> Iterator[Ended]:
    """Yields how each run ended, in the order of the jobs. count: number of jobs, if known: a job without a record
    has failed."""
    there = {file.name: file for file in sorted(folder.glob("job-*.json"))}
    for name in there if count is None else [RECORD.format(number) for number in range(count)]:
        if name in there:
            yield Ended(**json.loads(there[name].read_text()))
        else:
            number = int(name.removeprefix("job-").removesuffix(".json")) + 1
            yield Ended(f"[{number}/{count}]", None, False, 1, f"it left no record in {folder}")


def _name(hydra: DictConfig) -> str:
    """Returns a name such as "[2/8] seed=1 model=conv4"."""
    try:
        sweep = json.loads(Path(hydra.sweep.dir, SWEEP).read_text())
    except FileNotFoundError:  # the system may clear temporary folders
        sweep = {"keys": [word.partition("=")[0] for word in hydra.overrides.task], "count": None}
    differs = [word for word in hydra.overrides.task if word.partition("=")[0] in sweep["keys"]]
    number = f"{hydra.job.num + 1}/{sweep['count']}" if sweep["count"] else f"{hydra.job.num + 1}"
    return _printable(" ".join([f"[{number}]", *differs]))


def _bug(error: Exception, run: str | None) -> str:
    """Returns the reason; the traceback is kept in the folder `run`."""
    where = traceback.extract_tb(error.__traceback__)[-1]
    words = " ".join(_message(error).split())
    place = f"{type(error).__name__}{words and f': {words}'} ({Path(where.filename).name}, line {where.lineno})"
    if run is not None:
        with suppress(OSError):
            file = Path(run, TRACEBACK)
            write_text(file, _printable("".join(traceback.format_exception(error))))
            return f"{place}; its traceback is in {file}"
    traceback.print_exception(error)
    return place


def _message(error: Exception) -> str:
    try:
        return _printable(str(error))
    except Exception:  # the error may be of a user's class
        return "its message can't be shown"


def _printable(text: str) -> str:
    """Replaces characters that UTF-8 can't encode."""
    return text.encode("utf-8", "backslashreplace").decode()


def forget_failure(run: Path) -> None:
    """Removes the traceback that an earlier attempt left, as the run has succeeded now."""
    with suppress(OSError):  # a complete run may be on a read-only disk
        (run / TRACEBACK).unlink(missing_ok=True)
