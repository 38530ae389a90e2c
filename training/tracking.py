"""One W&B run per stage; the files in the run's folder are the record, W&B mirrors them."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import wandb
from omegaconf import DictConfig

from conf.errors import BadInput
from training.folder import is_first_process, settings, stage_folder


@contextmanager
def tracked(cfg: DictConfig, stage: str) -> Iterator[wandb.Run]:
    """A W&B run with group = study and seed, job type = stage, config = what determines the stage."""
    logging.getLogger("wandb").setLevel(logging.ERROR)
    Path(cfg.run_dir).mkdir(parents=True, exist_ok=True)
    try:
        run = wandb.init(
            project=cfg.wandb.project,
            entity=cfg.wandb.entity,
            mode=cfg.wandb.mode if is_first_process() else "disabled",
            dir=cfg.run_dir,
            group=f"{cfg.name} seed={cfg.seed}",
            job_type=stage,
            name=f"{cfg.name} seed={cfg.seed} {stage}",
            config=settings(cfg, stage) | {"folder": str(stage_folder(cfg, stage))},
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


def log_checkpoints(run: wandb.Run, cfg: DictConfig, stage: str) -> None:
    """The stage's weights as references to the files: nothing is copied or uploaded."""
    folder = stage_folder(cfg, stage) / "checkpoints"
    artifact = wandb.Artifact(f"{stage}-{run.id}", type="checkpoint", metadata={"folder": str(folder)})
    for file in sorted(folder.glob("epoch_*.pt")):
        artifact.add_reference(file.resolve().as_uri(), name=file.name)
    run.log_artifact(artifact)


def _finish(run: wandb.Run, exit_code: int) -> None:
    try:
        run.finish(exit_code=exit_code)
    except Exception as error:  # W&B's process may be gone already; that must not hide how the stage ended
        logging.getLogger(__name__).warning("W&B did not finish cleanly: %s", error)
