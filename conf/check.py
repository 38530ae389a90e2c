"""Refuses a configuration that can't be run, in one line and before any work."""

import os
import tempfile
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from importlib.util import find_spec
from pathlib import Path

from omegaconf import DictConfig, MissingMandatoryValue, OmegaConf
from omegaconf.errors import InterpolationResolutionError

from conf.allowed import LONGEST, Text, shown
from conf.errors import BadInput
from conf.first_line import first_line
from conf.nested import Listed, Paths
from conf.refusals import unknown
from conf.schema import Config, keys
from conf.trainer import check_trainer

# Keys of `model` that every model has, in addition to the arguments of its function.
OF_MODELS = {
    "weights": Paths(),
    "head": Listed(Text(), "the name of a layer, or a list of such", null=True, alone=True),
    "layers": Listed(Text(), "a list of layers such as [block1, block2, logits], or patterns", null=True, alone=True),
}
LONGEST_PATH = 2000  # bytes of a run's folder; most disks take 4096, and the folder contains others
PER_CORE = 16  # processes
PROJECT, NOT_IN_A_PROJECT = 128, "/\\#?%:"  # characters, by W&B's rules
RESERVED = "seed="  # names of runs' folders begin with this


def check(cfg: DictConfig) -> None:
    """Raises BadInput for the first value that is not allowed."""
    values = _values(cfg)
    for section, known in _sections():
        there = [field.name for field in fields(known)]
        if extra := sorted(map(str, _at(values, section).keys() - set(there))):
            raise unknown(f"{section}.{extra[0]}" if section else extra[0], there)
    for path, known in keys():
        known.allowed.check(path, _at(values, path))
    for key in OF_MODELS.keys() & values["model"].keys():
        OF_MODELS[key].check(f"model.{key}", values["model"][key])
    check_trainer(values["trainer"])
    _check_synthetic(cfg)
    _check_name(cfg)
    _check_run_dir(cfg)
    _check_roles(cfg.interactions)
    _check_transfer(cfg)
    _check_epochs(cfg)
    _check_precision(cfg)
    _check_processes(cfg)
    _check_logger(cfg.logger)
    check_project("wandb.project", cfg.wandb.project)


def _check_logger(logger: str) -> None:
    if logger == "tensorboard" and find_spec("tensorboard") is None:
        raise BadInput("logger=tensorboard needs the package tensorboard: pip install '.[tensorboard]'")


def check_project(key: str, name: str) -> None:
    """Raises BadInput for a name that W&B gives no project."""
    if not name or len(name) > PROJECT or set(name) & set(NOT_IN_A_PROJECT):
        raise BadInput(
            f"{key}={shown(name)} is not allowed: a project has a name of at most {PROJECT} characters, none of them "
            f"one of {' '.join(NOT_IN_A_PROJECT)}"
        )


def check_length(cfg: DictConfig) -> None:
    """Raises BadInput if the name of a run's folder is too long for a disk."""
    run = Path(cfg.run_dir).absolute()
    longest = max(len(part.encode()) for part in run.parts)
    if len(str(run).encode()) > LONGEST_PATH:
        raise BadInput(
            f"run_dir={cfg.run_dir[:LONGEST]}... is too long for a path ({len(str(run).encode())} bytes): set a "
            f"shorter name=..."
        )
    if longest > 200:
        raise BadInput(
            f"run_dir={cfg.run_dir} is too long for the name of a folder ({longest} bytes): set a shorter name=..."
        )


def _values(cfg: DictConfig) -> dict:
    """Returns the values without interpolations. Raises BadInput for an interpolation that leads nowhere or a missing
    value."""
    try:
        return OmegaConf.to_container(cfg, resolve=True, throw_on_missing=True)
    except MissingMandatoryValue as error:
        raise BadInput(f"{error.full_key} has no value: set it in conf/ or as {error.full_key}=VALUE") from None
    except InterpolationResolutionError as error:
        reason = first_line(error)
        raise BadInput(
            f"{error.full_key} can't be filled in ({reason}): the chosen data and model do not fit together, or that "
            f"key is missing"
        ) from None


def _at(values: dict, path: str) -> object:
    """Returns the value of a key, or the content of a section. Raises BadInput if it has been removed with ~."""
    node = values
    for key in filter(None, path.split(".")):
        if not isinstance(node, dict) or key not in node:
            raise BadInput(f"{path} was removed, and the program needs it: leave out ~{path.split('.')[0]}")
        node = node[key]
    return node


def _sections(kind: type = Config, path: str = "") -> Iterator[tuple[str, type]]:
    yield path, kind
    for field in fields(kind):
        if is_dataclass(field.type):
            yield from _sections(field.type, f"{path}.{field.name}" if path else field.name)


def _check_synthetic(cfg: DictConfig) -> None:
    """Refuses synthetic samples in place of a user's own files, which would be read all the same."""
    tasks = ["target", "source"] if cfg.model.get("weights", "pretrain") == "pretrain" else ["target"]
    for task in tasks if cfg.data.synthetic else []:
        files = OmegaConf.select(cfg, f"data.{task}.files")
        while OmegaConf.is_dict(files) and OmegaConf.is_dict(files.get("files")):  # a part of a data set
            files = files.files
        if OmegaConf.is_dict(files) and "synthetic" not in files:
            raise BadInput(
                f"data.synthetic={cfg.data.synthetic} (set by you or by debug=tiny) works with published data sets "
                f"only, and data.{task} is none: set data.synthetic=0 to use your own data"
            )


def _check_name(cfg: DictConfig) -> None:
    """Checks that the name is not used in or next to runs' folders, so that a run is never taken for something else."""
    parts = Path(cfg.name).parts
    if not parts or ".." in parts or Path(cfg.name).is_absolute():
        raise BadInput(f"name={cfg.name} is not allowed: the name of a folder in output={cfg.output} is expected")
    taken = {"results", "synthetic", "summary", "multirun.yaml"} | {section for section, _ in _sections() if section}
    for part in parts:
        if part in taken or part.startswith(RESERVED):
            raise BadInput(
                f"name={cfg.name} is not allowed: the program itself uses the name {part} in output={cfg.output}; "
                f"choose another name"
            )


def _check_run_dir(cfg: DictConfig) -> None:
    """Checks that the run lies in `output`: a user who deletes results that no run shows looks for runs there."""
    if cfg.run_dir is None:
        return
    output, run = Path(cfg.output).resolve(), Path(cfg.run_dir).resolve()
    if run == output or not run.is_relative_to(output) or run.is_relative_to(output / "results"):
        raise BadInput(
            f"run_dir={cfg.run_dir} is not allowed: a folder in output={cfg.output}, but not in results, is expected"
        )


def _check_epochs(cfg: DictConfig) -> None:
    wanted, stages = cfg.checkpoints.epochs, ("finetune", "scratch", "pretrain")
    longest = max(cfg[stage].epochs for stage in stages)
    if wanted != "all" and min(wanted) > longest:
        raise BadInput(
            f"checkpoints.epochs={shown(wanted)} is not allowed: no training has such an epoch, the longest has "
            f"{longest}"
        )


def _check_precision(cfg: DictConfig) -> None:
    """Refuses Adam in float16: it divides by the root of mean squared gradients + 1e-8, and in float16 both are 0."""
    used = {f"{stage}.optimizer": cfg[stage].optimizer for stage in ("pretrain", "finetune", "scratch")}
    adam = [f"{key}={name}" for key, name in used.items() if name in ("adam", "adamw")]
    if cfg.trainer.get("precision") == "16-true" and adam:
        raise BadInput(
            f"trainer.precision=16-true is not allowed with {adam[0]}, which divides by numbers that are 0 in float16: "
            f"use 16-mixed or bf16-mixed"
        )


def _check_processes(cfg: DictConfig) -> None:
    """Refuses far more processes than cores: each takes some 0.3 GB and time to start, and they would wait forever."""
    most = PER_CORE * (os.cpu_count() or 1)
    for key in ("num_workers", "interactions.processes"):
        if OmegaConf.select(cfg, key) > most:
            raise BadInput(
                f"{key}={OmegaConf.select(cfg, key)} is not allowed: this machine has {os.cpu_count()} cores, and "
                f"up to {PER_CORE} processes for each ({most} in all) are allowed"
            )


def _check_roles(interactions: DictConfig) -> None:
    """Refuses files of a role that is left out: they would not be read, and a user who gives them expects that they
    are."""
    for role, files in interactions.checkpoints.items():
        if files and role not in interactions.roles:
            chosen = ",".join(interactions.roles)
            raise BadInput(
                f"interactions.checkpoints.{role} is given and interactions.roles=[{chosen}] leaves {role} out: "
                f"add {role} to the roles, or leave out its files"
            )


def _check_transfer(cfg: DictConfig) -> None:
    """Refuses a start for a fine-tuning that is not done here."""
    set_here = {key: cfg.start[key] for key, usual in (("transfer", "all"), ("head", "new")) if cfg.start[key] != usual}
    for key, value in set_here.items() if cfg.interactions.checkpoints.finetune else ():
        raise BadInput(
            f"start.{key}={value} is not allowed with interactions.checkpoints.finetune, a model that was fine-tuned "
            f"by another program: leave one of them out"
        )
    if len(set_here) > 1:
        raise BadInput(
            f"start.head={cfg.start.head} is not allowed with start.transfer={cfg.start.transfer}: a head is kept with "
            f"all that it was trained on, start.transfer=all"
        )


def check_writable(key: str, folder: Path) -> None:
    """Raises BadInput for a folder that can't be written to or made: its nearest existing parent must accept a new
    file.

    Nothing is created yet.
    """
    parent = folder.absolute()
    try:
        while not parent.exists():
            parent = parent.parent
        with tempfile.TemporaryFile(dir=parent):
            pass
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else error
        raise BadInput(
            f"{key}={folder}: can't write to {parent} ({reason}); choose another output=... or name=..."
        ) from None
