"""Says of a result what its mirror shows beside its numbers: name, group, tags, settings, what it was made from."""

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from stages import attempts
from stages.identity import Result
from stages.job import name_of
from stages.results import nested
from stages.versions import about as versions
from stages.view import SHORT_LIVED

GROUPS = ("experiment", "model", "data", "condition")  # whose chosen options are tags
LONGEST = 64  # characters of a tag
JOB = (
    ("SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID"),
    ("SLURM_JOB_ID",),
    ("PBS_JOBID",),
    ("LSB_JOBID",),
)


@dataclass(frozen=True)
class About:
    """digest: of what is logged; folder: where its attempts are noted; place: the folder of the run (or summary), which
    takes the mirror's files; job: the result's name, such as finetune; parts: what a result holds that grows, name ->
    digest."""

    digest: str
    folder: Path
    place: Path
    group: str
    job: str
    name: str
    tags: tuple[str, ...] = ()
    config: dict = field(default_factory=dict)
    parts: dict[str, str] = field(default_factory=dict)
    uses: tuple[str, ...] = ()  # artifacts of what it is made from
    axis: str = "epoch"  # of all that is logged; "": each curve says its own

    @property
    def artifact(self) -> str:
        """The name of the artifact that holds its files."""
        return artifact(self.job, self.digest)

    @property
    def id(self) -> str:
        """The id of the W&B run of this attempt."""
        return f"{self.digest}-{attempts.name(self.folder)}"


def of_result(cfg: DictConfig, result: Result) -> About:
    choices = chosen()
    if choices.get("experiment") != cfg.name and not _is_said("experiment"):
        choices.pop("experiment", None)  # it is only where the settings began
    tags = (*(choices[group] for group in GROUPS if choices.get(group)), result.stage.name)
    return About(
        digest=result.digest,
        folder=result.folder,
        place=Path(cfg.run_dir),
        group=cfg.name,
        job=result.name,
        name=f"{run_name(cfg)} {result.name}",
        tags=tuple(dict.fromkeys(tag[:LONGEST] for tag in tags)),
        config=_config(cfg, result),
        parts=result.parts,
        axis="" if result.parts else "epoch",
        uses=tuple(artifact(name, read.digest) for name, read in result.inputs.items()),
    )


def artifact(job: str, digest: str) -> str:
    """Returns the name of the W&B artifact of a result's files, such as interactions.finetune-1f2e3d4c5b6a."""
    return f"{job.replace('/', '.')}-{digest}"


def run_name(cfg: DictConfig) -> str:
    """Returns what varies, and the seed, such as "finetune.lr=0.003 seed=0". In a sweep this is what it varies;
    otherwise, what the folder's name says."""
    if (hydra := _hydra()) and hydra.mode == RunMode.MULTIRUN:
        words = name_of(Path(hydra.sweep.dir), hydra.job.num, hydra.overrides.task).partition("] ")[2].split(" ")
        return " ".join([*words, *([] if any(word.startswith("seed=") for word in words) else [f"seed={cfg.seed}"])])
    place, home = os.path.abspath(cfg.run_dir), os.path.abspath(os.path.join(cfg.output, cfg.name))
    inside = Path(place).is_relative_to(home) and place != home
    return re.sub(r"[/\\]+", " ", os.path.relpath(place, home)) if inside else f"{Path(place).name} seed={cfg.seed}"


def chosen() -> dict[str, str]:
    """Returns the option of each group of the configuration; {} if Hydra did not compose it."""
    hydra = _hydra()
    return {group: str(option) for group, option in hydra.runtime.choices.items() if option} if hydra else {}


def _hydra() -> DictConfig | None:
    return HydraConfig.get() if HydraConfig.initialized() else None


def _is_said(group: str) -> bool:
    """Tells whether an option of the group was asked for."""
    hydra = _hydra()
    return bool(hydra) and any(word.partition("=")[0] == group for word in hydra.overrides.task)


def job_id() -> str | None:
    """Returns the number of the scheduler's job that this process belongs to."""
    found = ("_".join(os.environ[name] for name in names) for names in JOB if all(map(os.environ.get, names)))
    return next(found, None)


def _config(cfg: DictConfig, result: Result) -> dict:
    """Returns the settings that decide the result, of an analysis all settings; and where it belongs."""
    if result.stage.in_run:
        every = OmegaConf.to_container(cfg, resolve=True)
        settings = {key: value for key, value in every.items() if key not in SHORT_LIVED}
    else:
        settings = nested(result.decided())
    known = versions()
    return settings | {
        "study": cfg.name,
        "seed": cfg.seed,
        "run": run_name(cfg),
        "overrides": list(hydra.overrides.task) if (hydra := _hydra()) else [],
        "job": job_id(),
        "commit": known["commit"],
        "versions": known,
        "digest": result.digest,
        "folder": str(result.folder),
        "inputs": {name.replace("/", "_"): origin(read) for name, read in result.inputs.items()},
    }


def origin(result: Result) -> dict[str, str | None]:
    """Returns where an input is: its digest, its folder, and the id of its W&B run, whichever study made it."""
    known = attempts.noted(result.folder).get("id")
    return {"digest": result.digest, "folder": str(result.folder), "run": known}
