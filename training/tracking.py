"""Keeps one W&B run per result; the files in the run's folder are the record, and W&B mirrors them.

The id of a W&B run is stored with its result, in tracked.json. A run that continues an interrupted result continues
its W&B run: offline that is removed and written again, since all rows are passed on again (training/mirror.py); online
it only gets the rows that it does not have.
"""

import logging
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import wandb
from omegaconf import DictConfig

from conf.errors import BadInput
from stages.checksums import TRACKED
from stages.identity import Result
from stages.processes import is_first_process
from stages.records import read_record, write_record
from stages.results import nested
from stages.versions import about


@contextmanager
def tracked(cfg: DictConfig, result: Result) -> Iterator[wandb.Run]:
    """Yields a W&B run with group = study and seed, job type = name of the result, config = the settings that decide
    it."""
    logging.getLogger("wandb").setLevel(logging.ERROR)
    Path(cfg.run_dir).mkdir(parents=True, exist_ok=True)
    mode = cfg.wandb.mode if is_first_process() else "disabled"
    try:
        run = wandb.init(
            project=cfg.wandb.project,
            entity=cfg.wandb.entity,
            mode=mode,
            id=None if mode == "disabled" else _id(result, Path(cfg.run_dir)),
            resume="allow" if mode == "online" else None,
            dir=cfg.run_dir,
            group=f"{cfg.name} seed={cfg.seed}",
            job_type=result.name,
            name=f"{cfg.name} seed={cfg.seed} {result.name}",
            config=nested(result.decided()) | {"folder": str(result.folder), "versions": about()},
            settings=wandb.Settings(silent=True, console="off", x_disable_stats=True),
            reinit="finish_previous",
        )
    except wandb.Error as error:
        reason = str(error).splitlines()[0]
        raise BadInput(f"wandb.mode={cfg.wandb.mode}: {reason}; wandb.mode=offline needs no account") from error
    run.define_metric("epoch")
    run.define_metric("*", step_metric="epoch")
    exit_code = 1
    try:
        yield run
        exit_code = 0
    finally:
        _finish(run, exit_code)


@contextmanager
def not_vital(what: str) -> Iterator[None]:
    """Prints an error and goes on, as W&B is not essential: it also writes to the user's home and $TMPDIR, and its
    process may have ended already, if a scheduler ends this job."""
    try:
        yield
    except Exception as error:
        if not (isinstance(error, OSError) or type(error).__module__.startswith("wandb.")):
            raise
        print(f"W&B: {what} not logged: {str(error) or type(error).__name__}", flush=True)


def rows_of(run: wandb.Run) -> Callable[[dict[str, float]], None]:
    """Returns a function that logs a row, unless the W&B run already has it from an interrupted attempt.

    A training that continues passes on its first rows again.
    """
    known, handed = run.step, count(1)

    def log(row: dict[str, float]) -> None:
        if next(handed) > known:
            with not_vital("a row"):
                run.log(row)

    return log


def log_checkpoints(run: wandb.Run, result: Result) -> None:
    """Logs the result's weights as references to the files: nothing is copied or uploaded."""
    folder = result.folder / "checkpoints"
    with not_vital("the checkpoints"):
        artifact = wandb.Artifact(f"{result.name}-{run.id}", type="checkpoint", metadata={"folder": str(folder)})
        for file in sorted(folder.glob("epoch_*.pt")):
            artifact.add_reference(file.resolve().as_uri(), name=file.name)
        run.log_artifact(artifact)


def _id(result: Result, run_dir: Path) -> str:
    """Returns the id of the W&B run of an interrupted attempt, or a new one. Removes what the attempt wrote offline."""
    record, here = result.folder / TRACKED, run_dir / "wandb"
    try:
        before = read_record(record)
        identity, folder = before["id"], result.folder / before["folder"]
        for left in folder.glob(f"offline-run-*-{identity}"):
            shutil.rmtree(left, ignore_errors=True)
    except (LookupError, TypeError):
        identity = secrets.token_hex(4)
    write_record(record, {"id": identity, "folder": os.path.relpath(here, result.folder)})
    return identity


def _finish(run: wandb.Run, exit_code: int) -> None:
    try:
        run.finish(exit_code=exit_code)
    except Exception as error:  # W&B's process may have ended already; that must not hide how the stage ended
        logging.getLogger(__name__).warning("W&B did not finish cleanly: %s", error)
