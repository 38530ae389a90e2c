"""Refuses a configuration that can't be run, in one line and before any work."""

import os
import tempfile
from dataclasses import fields, is_dataclass
from pathlib import Path

from omegaconf import DictConfig, MissingMandatoryValue, OmegaConf
from omegaconf.errors import InterpolationResolutionError

from conf.errors import BadInput
from conf.schema import Config, keys

GONE = object()
SECTIONS = {field.name: field.type for field in fields(Config) if is_dataclass(field.type)}


def check(cfg: DictConfig) -> None:
    """Raises BadInput for the first value that is not allowed."""
    _check_keys(cfg)
    for path, known in keys():
        known.allowed.check(path, OmegaConf.select(cfg, path))
    files = OmegaConf.select(cfg, "data.target.files")
    if cfg.data.synthetic and OmegaConf.is_dict(files) and "synthetic" not in files:
        raise BadInput(
            f"data.synthetic={cfg.data.synthetic} (set by you or by debug=tiny) is for cifar10, cub200, cars and sst2 "
            f"alone: set data.synthetic=0 to use your own data"
        )
    _check_name(cfg)
    _check_roles(cfg.interactions)


def check_length(cfg: DictConfig) -> None:
    """Raises BadInput for a run's folder whose name is too long for a disk."""
    longest = max((len(part.encode()) for part in Path(cfg.run_dir).parts), default=0)
    if longest > 200:
        raise BadInput(
            f"run_dir={cfg.run_dir} is too long a name for a folder ({longest} bytes): set a shorter name=..."
        )


def _check_keys(cfg: DictConfig) -> None:
    """Every key has a value and is one of conf/schema.py, those added with + included; none has been taken away."""
    try:
        given = OmegaConf.to_container(cfg, resolve=True, throw_on_missing=True)
    except MissingMandatoryValue as error:
        raise BadInput(f"{error.full_key} has no value: set it in conf/ or as {error.full_key}=VALUE") from None
    except InterpolationResolutionError as error:
        reason = str(error).splitlines()[0]
        raise BadInput(
            f"{error.full_key} can't be filled in ({reason}): the data chosen do not go with the model chosen, or that "
            f"key is missing"
        ) from None
    gone = [path for path, _ in keys() if OmegaConf.select(cfg, path, default=GONE) is GONE]
    if gone:
        raise BadInput(f"{gone[0]} has been taken away, and the program wants it: leave out ~{gone[0].split('.')[0]}")
    for section, known in {"": Config, **SECTIONS}.items():
        extra = sorted((given[section] if section else given).keys() - {field.name for field in fields(known)})
        if extra:
            key = f"{section}.{extra[0]}" if section else extra[0]
            raise BadInput(f"{key} is no key of the configuration; known: {', '.join(f.name for f in fields(known))}")


def _check_name(cfg: DictConfig) -> None:
    parts = Path(cfg.name).parts
    if not parts or ".." in parts or Path(cfg.name).is_absolute():
        raise BadInput(f"name={cfg.name} is not allowed: the name of a folder in output={cfg.output} is wanted")
    if parts[0] == "results":
        raise BadInput(f"name={cfg.name} is not allowed: {cfg.output}/results holds the results of all studies")


def _check_roles(interactions: DictConfig) -> None:
    """Files of a role that is left out would not be read, which is not what somebody who gives them expects."""
    for role, files in interactions.checkpoints.items():
        if files and role not in interactions.roles:
            chosen = ",".join(interactions.roles)
            raise BadInput(
                f"interactions.checkpoints.{role} is given and interactions.roles=[{chosen}] leaves {role} out: "
                f"add {role} to the roles, or leave out its files"
            )


def check_writable(key: str, folder: Path) -> None:
    """Raises BadInput for a folder that can't be written to, or made: the nearest existing parent must take a new file.
    Nothing is created yet."""
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
