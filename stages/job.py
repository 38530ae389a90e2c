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
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from conf.sweeps import check_composed
from stages import group, table
from stages.alone import alone
from stages.ending import line_and_code, say, show_traceback, whole
from stages.files import write_text
from stages.launched import begin, end_of_work, tell
from stages.signals import doing, end_started, let_it_end
from stages.waiting import clock

SWEEP, TRACEBACK, RECORD = "sweep.json", "traceback.txt", "job-{:06}.json"


@dataclass(frozen=True)
class Ended:
    """How a run ended. name: its number, the number of runs, and the settings in which it differs from the others;
    folder: its own, if that is known; analysed: whether it has tables there; code: its exit code; why: the reason if
    it failed; log: where it says what it does, unless that is the sweep's own terminal; took: its time."""

    name: str
    folder: str | None
    analysed: bool
    code: int = 0
    why: str = ""
    log: str | None = None
    took: str = ""

    def line(self) -> str:
        """Returns what is said when it ends."""
        if self.code:
            return f"{self.name}: failed: {self.why}"
        return f"{self.name}: done in {self.took}, {self.folder}"


def job(cfg: DictConfig, run: Callable[[DictConfig], object]) -> None:
    """Runs one job of a sweep. run: takes `cfg`, and sets its run_dir."""
    hydra, began = HydraConfig.get(), time.monotonic()
    number, folder = hydra.job.num, Path(hydra.sweep.dir)
    name = name_of(folder, number, hydra.overrides.task)

    def end(code: int, why: str) -> Ended:
        analysed = not (code or cfg.plan) and any(stage.in_run for stage in table.chosen(cfg))
        ended = Ended(name, cfg.run_dir, analysed, code, why, log, clock(time.monotonic() - began))
        record(folder, number, ended)
        return ended

    log = begin(hydra, gave_up=lambda why: end(1, why))
    print(name, flush=True)
    try:
        with doing(f"in run {name}"), alone(hydra), whole():
            check_composed(hydra)
            run(cfg)
    except Exception as error:
        line, code = line_and_code(error)
        let_it_end()
        show_traceback(error)
        why = line or bug(error, None if cfg.plan else cfg.run_dir)  # a plan writes nothing
        end_started()  # processes that compute with this one do not know that the sweep goes on
        group.close()
        ended = end(code, why)
        say(ended.line())
    else:
        ended = end(0, "")
        if not cfg.plan:
            print(ended.line(), flush=True)
    tell(ended.line())
    end_of_work()


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


def name_of(folder: Path, number: int, overrides: Sequence[str]) -> str:
    """Returns a job's name, such as "[2/8] seed=1 model=conv4". folder: the sweep's; number: from 0."""
    try:
        sweep = json.loads((folder / SWEEP).read_text())
    except FileNotFoundError:  # the system may clear temporary folders
        sweep = {"keys": [word.partition("=")[0] for word in overrides], "count": None}
    differs = [word for word in overrides if word.partition("=")[0] in sweep["keys"]]
    place = f"{number + 1}/{sweep['count']}" if sweep["count"] else f"{number + 1}"
    return _printable(" ".join([f"[{place}]", *differs]))


def record(folder: Path, number: int, ended: Ended) -> None:
    """Writes down how a job ended."""
    write_text(folder / RECORD.format(number), json.dumps(asdict(ended)))


def recorded(folder: Path, number: int) -> Ended | None:
    """Returns how a job ended, if that is written down."""
    try:
        return Ended(**json.loads((folder / RECORD.format(number)).read_text()))
    except FileNotFoundError:
        return None


def bug(error: Exception, run: str | None) -> str:
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
