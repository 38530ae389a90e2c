"""One W&B run per result.

Its id is made of the result's digest and the number of the attempt (stages/attempts.py), so that a result that was
interrupted goes on with its run. A training that goes on passes on all its rows again:

    online                    the run gets those that the server does not have yet
    offline, not yet synced   what the interrupted process has written is removed, and written again as one whole
    offline, synced           a second folder gets the new rows alone: `wandb sync` appends them, as resume is "allow"
"""

import json
import logging
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread

import wandb
from omegaconf import DictConfig

from conf.first_line import first_line
from stages import attempts
from tracking import server
from tracking.about import About
from tracking.tracker import Tracker, is_the_mirrors
from tracking.wandb_tracker import NOTING, WandbTracker

PATIENCE, SHARE = 2, 0.02  # seconds, and of the time that a result took: how long uploads may keep the next one waiting
AT_THE_END = 30  # seconds that uploads may keep the process from ending
OPENING = 10  # seconds for the server to accept a run; if it does not, this process logs nothing online any more
DELETED = "previously created and deleted"  # W&B never gives such an id again


@contextmanager
def opened(cfg: DictConfig, about: About) -> Iterator[Tracker]:
    """Yields the W&B run of this attempt, which ends with the block. cfg: has `wandb`."""
    logging.getLogger("wandb").setLevel(logging.ERROR)
    tracker, started, exit_code = _tracker(cfg.wandb, about), time.monotonic(), 1
    try:
        yield tracker
        exit_code = 0
    finally:
        if isinstance(tracker, WandbTracker):
            tracker.note()
            _finish(tracker.run, exit_code, max(PATIENCE, SHARE * (time.monotonic() - started)))


def _tracker(options: DictConfig, about: About) -> Tracker:
    """Opens the run online if that is asked for and possible, else offline, else not at all."""
    modes = ["online", "offline"] if options.mode == "online" and not server.lacking() else ["offline"]
    for mode in modes:
        try:
            return _started(options, about, mode)
        except Exception as error:
            if not is_the_mirrors(error):
                raise
            why = first_line(error)
            if mode == "online":
                server.lost(why)
                attempts.end(about.folder)  # W&B does not free the id of a run that it could not open
    print(f"W&B: {why}. Nothing is logged to it", flush=True)
    return Tracker()


def _started(options: DictConfig, about: About, mode: str) -> WandbTracker:
    about.place.mkdir(parents=True, exist_ok=True)
    about.folder.mkdir(parents=True, exist_ok=True)
    there = _kept(about)
    try:
        run = _init(options, about, mode)
    except wandb.Error as error:
        if DELETED not in str(error):
            raise
        attempts.note(about.folder)
        attempts.end(about.folder)
        run = _init(options, about, mode)
    there = run.starting_step if mode == "online" else there
    place = os.path.relpath(about.place, about.folder)
    new = {} if there else {"series": {}}  # of a run without rows, no curve is there
    attempts.note(about.folder, id=run.id, mode=mode, place=place, rows=there, **new)
    if mode == "online":
        _use(run, about.uses)
    return WandbTracker(run, about, there)


def _init(options: DictConfig, about: About, mode: str) -> wandb.Run:
    return wandb.init(
        project=options.project,
        entity=options.entity,
        mode=mode,
        id=about.id,
        resume="allow",
        dir=str(about.place),
        group=about.group,
        job_type=about.job,
        name=about.name,
        tags=about.tags,
        config=about.config | {"attempt": attempts.number(about.folder)},
        settings=_settings(options.system),
        reinit="create_new",  # an earlier run may still be uploading
    )


def _settings(system: bool) -> wandb.Settings:
    """Returns settings for one run: W&B writes what it is told of that run into them. system: log its use."""
    return wandb.Settings(
        silent=True,
        console="off",
        x_disable_stats=not system,
        init_timeout=OPENING,
        finish_timeout=AT_THE_END,
        x_transaction_log_flush_interval=NOTING,
    )


def _kept(about: About) -> int:
    """Returns how many rows of this attempt are at the server, or in folders that were synced. Removes what else an
    earlier process has written offline. Ends the attempt if it has logged a part of the result that is another one
    now."""
    noted = attempts.noted(about.folder)
    if any(about.parts.get(name, digest) != digest for name, digest in noted.get("series", {}).items()):
        attempts.end(about.folder)
        return 0
    left = sorted((about.folder / noted.get("place", ".") / "wandb").glob(f"offline-run-*-{about.id}"))
    synced = [folder for folder in left if any(folder.glob("*.synced"))]
    for folder in left:
        if folder not in synced:
            shutil.rmtree(folder, ignore_errors=True)
    if noted.get("mode") == "online":
        kept = noted.get("rows", 0)
    else:
        kept = max([noted.get("kept", 0), *map(_rows_in, synced)])
    attempts.note(about.folder, kept=kept)
    return kept


def _rows_in(folder: Path) -> int:
    """Returns the number of the last row in an offline folder: a process that was killed may have handed on more."""
    command = [sys.executable, "-m", "wandb", "leet", "inspect", "--json", str(folder)]
    lines = subprocess.run(command, env=os.environ | {"WANDB_MODE": "offline"}, capture_output=True, text=True).stdout
    records = (json.loads(line) for line in lines.splitlines() if line.startswith("{"))
    steps = [int(record["history"]["step"].get("num", 0)) for record in records if record.get("type") == "history"]
    return max(steps, default=-1) + 1


def _use(run: wandb.Run, artifacts: Sequence[str]) -> None:
    """Tells W&B what the result is made from, as far as it knows these artifacts: the config has their digests."""
    for name in artifacts:
        with suppress(wandb.Error, ValueError, TypeError, OSError):
            run.use_artifact(f"{name}:latest")


def _finish(run: wandb.Run, exit_code: int, seconds: float) -> None:
    """Ends the run. What is not uploaded within `seconds` is uploaded while the study goes on."""
    thread = Thread(target=_end, args=(run, exit_code), daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        server.look_again()
        where = Path(run.dir).parent
        print(f"W&B: {run.name} is still being uploaded; `wandb sync {where}` uploads what is missing", flush=True)


def _end(run: wandb.Run, exit_code: int) -> None:
    try:
        run.finish(exit_code=exit_code)
    except Exception as error:  # W&B's process may have ended already; that must not hide how the stage ended
        why = str(error).strip() or type(error).__name__
        logging.getLogger(__name__).warning("W&B did not finish cleanly: %s", why)
