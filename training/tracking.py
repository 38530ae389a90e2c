"""One W&B run per result; the files in the run's folder are the record, W&B mirrors them."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import wandb
from omegaconf import DictConfig

from conf.errors import BadInput
from stages.identity import Result
from stages.locks import is_first_process
from stages.results import nested
from stages.versions import about


@contextmanager
def tracked(cfg: DictConfig, result: Result) -> Iterator[wandb.Run]:
    """A W&B run with group = study and seed, job type = name of the result, config = what decides it."""
    logging.getLogger("wandb").setLevel(logging.ERROR)
    Path(cfg.run_dir).mkdir(parents=True, exist_ok=True)
    try:
        run = wandb.init(
            project=cfg.wandb.project,
            entity=cfg.wandb.entity,
            mode=cfg.wandb.mode if is_first_process() else "disabled",
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


def log_checkpoints(run: wandb.Run, result: Result) -> None:
    """The result's weights as references to the files: nothing is copied or uploaded."""
    folder = result.folder / "checkpoints"
    artifact = wandb.Artifact(f"{result.name}-{run.id}", type="checkpoint", metadata={"folder": str(folder)})
    for file in sorted(folder.glob("epoch_*.pt")):
        artifact.add_reference(file.resolve().as_uri(), name=file.name)
    run.log_artifact(artifact)


def _finish(run: wandb.Run, exit_code: int) -> None:
    try:
        run.finish(exit_code=exit_code)
    except Exception as error:  # W&B's process may be gone already; that must not hide how the stage ended
        logging.getLogger(__name__).warning("W&B did not finish cleanly: %s", error)
