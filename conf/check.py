"""Refuses a configuration that can't be run, in one line and before any work."""

import math
import os
import re
import tempfile
from dataclasses import fields, is_dataclass
from pathlib import Path

from hydra.errors import CompactHydraException
from omegaconf import DictConfig, MissingMandatoryValue, OmegaConf
from omegaconf.errors import InterpolationResolutionError

from conf.schema import Config


class BadInput(CompactHydraException):
    """Something the user gave can't be used: says what, where, and what to do. Ends the program with exit code 2."""

    def __init__(self, message: str) -> None:
        # A process that loads data hands an error on as the text of its traceback, which ends with the one line.
        if message.startswith("Caught BadInput in "):
            message = message.rstrip().rpartition(f"{__name__}.BadInput: ")[2]
        super().__init__(message)


STAGES = ("pretrain", "probe", "finetune", "scratch", "interactions", "analysis")
ROLES = ("pretrain", "finetune", "scratch")
MEASURES = ("decomposition", "ratio", "jaccard", "accuracy", "faithfulness", "noise", "claims")

SECTIONS = {field.name: field.type for field in fields(Config) if is_dataclass(field.type)}

TRAINING_RANGES = {"epochs": (1, 100_000), "batch_size": (1, math.inf), "lr": (0, math.inf), "momentum": (0, 1)}
RANGES = {
    "seed": (0, 2**31 - 1),
    "num_workers": (0, math.inf),
    "data.made": (0, 1000),
    **{
        f"{stage}.{key}": span
        for stage in ("pretrain", "finetune", "scratch")
        for key, span in (TRAINING_RANGES | {"weight_decay": (0, math.inf)}).items()
    },
    "probe.epochs": (1, 100_000),
    "probe.batch_size": (1, math.inf),
    "probe.lr": (0, math.inf),
    "probe.l2": (0, math.inf),
    "interactions.n": (1, 20),
    "interactions.samples": (2, math.inf),
    "interactions.grid": (1, math.inf),
    "interactions.margin": (0, math.inf),
    "interactions.noise_masks": (1, math.inf),
    "interactions.processes": (1, 1024),
    "analysis.tau": (0, 1),
    "analysis.permutations": (1, math.inf),
    "analysis.resamples": (10, math.inf),
    "analysis.gallery": (0, math.inf),
}
TRAINING_CHOICES = {"optimizer": ("adamw", "sgd"), "schedule": ("cosine", "constant")}
CHOICES = {
    **{
        f"{stage}.{key}": choices
        for stage in ("pretrain", "finetune", "scratch")
        for key, choices in TRAINING_CHOICES.items()
    },
    "probe.solver": ("lbfgs", "sgd"),
    "interactions.split": ("test", "train"),
    "interactions.background": ("keep", "mask"),
    "interactions.engine": ("auto", "dense", "local"),
    "interactions.baseline": ("mean_image", "channel_mean", "zero"),
    "interactions.precision": ("float32", "float64", "bfloat16", "float16"),
    "wandb.mode": ("offline", "online", "disabled"),
}


def check(cfg: DictConfig) -> None:
    """Raises BadInput for the first value that is out of its range or choice, or an output that can't be written."""
    _check_keys(cfg)
    for key, (low, high) in RANGES.items():
        _check_range(key, OmegaConf.select(cfg, key), low, high)
    for key, allowed in CHOICES.items():
        _check_choice(key, OmegaConf.select(cfg, key), allowed)
    files = OmegaConf.select(cfg, "data.target.files")
    if cfg.data.made and OmegaConf.is_dict(files) and "made" not in files:
        raise BadInput(
            f"data.made={cfg.data.made} (set by you or by debug=tiny) is for cifar10, cub200, cars and sst2 alone: set "
            f"data.made=0 to use your own data"
        )
    if cfg.interactions.batch_size != "auto":
        _check_range("interactions.batch_size", cfg.interactions.batch_size, 1, math.inf)
    _check_list("stages", cfg.stages, STAGES)
    _check_list("analysis.measures", cfg.analysis.measures, MEASURES)
    _check_roles(cfg.interactions)
    _check_epochs(cfg.checkpoints.epochs)
    _check_name("analysis.name", cfg.analysis.name, {*STAGES, "wandb"} - {"analysis"})
    longest = max((len(part.encode()) for part in Path(cfg.run_dir).parts), default=0)
    if longest > 200:
        raise BadInput(
            f"run_dir={cfg.run_dir} is too long a name for a folder ({longest} bytes): set a shorter name=..."
        )
    for key in ("output", "run_dir"):
        _check_writable(key, Path(cfg[key]))


def _check_keys(cfg: DictConfig) -> None:
    """Every key has a value and is one of conf/schema.py, those added with + included."""
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
    for section, known in {"": Config, **SECTIONS}.items():
        extra = sorted((given[section] if section else given).keys() - {field.name for field in fields(known)})
        if extra:
            key = f"{section}.{extra[0]}" if section else extra[0]
            raise BadInput(f"{key} is no key of the configuration; known: {', '.join(f.name for f in fields(known))}")


def _check_name(key: str, name: str, taken: set[str]) -> None:
    if not re.fullmatch(r"[\w=,.-]*[\w=,-]", name) or name in taken:
        raise BadInput(
            f"{key}={name} is not allowed: letters, digits, _ = , . - are, and not {', '.join(sorted(taken))}"
        )


def _check_range(key: str, value: object, low: float, high: float) -> None:
    number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if not number or not low <= value <= high:
        span = f"from {low} to {high}" if high < math.inf else f"of at least {low}"
        raise BadInput(f"{key}={value} is not allowed: a number {span} is wanted")


def _check_choice(key: str, value: object, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise BadInput(f"{key}={value} is not known; allowed: {', '.join(allowed)}")


def _check_list(key: str, values: list[str], allowed: tuple[str, ...]) -> None:
    if not OmegaConf.is_list(values) or len(values) == 0:
        raise BadInput(f"{key}={values} is not a list of at least one of: {', '.join(allowed)}")
    for value in values:
        _check_choice(key, value, allowed)


def _check_roles(interactions: DictConfig) -> None:
    """Files of a role that is left out would not be read, which is not what somebody who gives them expects."""
    _check_list("interactions.roles", interactions.roles, ROLES)
    for role, files in interactions.checkpoints.items():
        if files and role not in interactions.roles:
            chosen = ",".join(interactions.roles)
            raise BadInput(
                f"interactions.checkpoints.{role} is given and interactions.roles=[{chosen}] leaves {role} out: "
                f"add {role} to the roles, or leave out its files"
            )


def _check_epochs(epochs: object) -> None:
    is_list = OmegaConf.is_list(epochs) and all(type(e) is int and e >= 0 for e in epochs)
    if epochs != "all" and not is_list:
        raise BadInput(
            f"checkpoints.epochs={epochs} is not allowed: `all` or a list of epochs such as [0,1,5] is wanted"
        )


def _check_writable(key: str, folder: Path) -> None:
    """The nearest existing parent must be a folder that takes a new file: nothing is created yet."""
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
