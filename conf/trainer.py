"""Checks options of Lightning's trainer (the section `trainer`): their values, and which of them the user can't set.

Lightning itself refuses some wrong options, when a trainer is made. It accepts others, with which a stage ends without
weights or with weights that are not numbers: these are refused here, before any slow import. Options that are not
listed here are left to Lightning.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from conf.allowed import Choice, Flag, Kind, Number, Text, shown
from conf.errors import BadInput
from conf.nested import Options

EPOCHS = "pretrain.epochs, finetune.epochs and scratch.epochs say how long a training is"
STEPS = "pretrain.iterations, finetune.iterations and scratch.iterations say after how many steps a training ends"
CLOCK = f"{EPOCHS}, or a Timer with interval: epoch in trainer.callbacks"
WHOLE = "the whole test set is evaluated before the training and after every epoch"
QUIET = "this program shows its own progress bar, and nothing else"
# Options that the program sets itself, or whose change would make the files of a stage wrong.
OURS = {
    "max_epochs": EPOCHS,
    "max_steps": STEPS,
    "min_steps": f"{EPOCHS}; with early stopping, trainer.min_epochs is the least",
    "max_time": CLOCK,
    "fast_dev_run": "debug=tiny tries a whole study in little time",
    "overfit_batches": "data.target.train_samples and trainer.limit_train_batches take less of the training set",
    "limit_val_batches": WHOLE,
    "check_val_every_n_epoch": WHOLE,
    "val_check_interval": WHOLE,
    "num_sanity_val_steps": WHOLE,
    "reload_dataloaders_every_n_epochs": "every epoch has batches of its own, the same whenever it is repeated",
    "logger": "wandb.mode says what is tracked, and the callbacks in trainer.callbacks log to the same place",
    "default_root_dir": "output and name say where results lie",
    "enable_checkpointing": "checkpoints.epochs says which epochs are kept",
    "enable_progress_bar": QUIET,
    "enable_model_summary": QUIET,
    "barebones": "it would leave out what this program needs",
    "plugins": "this program writes checkpoints with one of its own; trainer.precision and trainer.strategy are free",
}


@dataclass(frozen=True)
class Devices(Kind):
    described = "auto, a number of at least 1, -1 (all) or a list such as [0, 1]"

    def allows(self, value: object) -> bool:
        if isinstance(value, str):  # "0," is the first device, "2" are two
            if value == "auto":
                return True
            parts = value.removesuffix(",").split(",")
            if not all(part.strip().removeprefix("-").isdecimal() for part in parts):
                return False
            value = [int(part) for part in parts] if "," in value else int(value)
        if isinstance(value, list):
            known = all(type(one) is int and one >= 0 for one in value)
            return known and 0 < len(value) == len(set(value))
        return type(value) is int and (value == -1 or 1 <= value <= 10_000)


@dataclass(frozen=True)
class Strategy(Text):
    """The name of a strategy. Spawned processes are not allowed: they do not have the objects of this process."""

    what: str = "auto or the name of a strategy such as ddp (and not one that spawns its processes)"

    def allows(self, value: object) -> bool:
        return super().allows(value) and "spawn" not in value and "notebook" not in value


@dataclass(frozen=True)
class Share(Kind):
    """A number of batches or a share of them; Lightning distinguishes 1 from 1.0."""

    described = "a whole number of at least 1 (batches) or a share above 0.0 and up to 1.0 (of all)"

    def allows(self, value: object) -> bool:
        return (type(value) is int and value >= 1) or (type(value) is float and 0 < value <= 1)


WHOLE_NUMBER = Number(1, 10_000_000, whole=True)
PRECISIONS = ("32-true", "64-true", "16-mixed", "bf16-mixed", "bf16-true", "16-true", "transformer-engine")
PRECISIONS += ("transformer-engine-float16", "16", "32", "64", "bf16")
ALLOWED: dict[str, Kind] = {
    "accelerator": Text("the name of an accelerator such as cpu or gpu", words=("auto",)),
    "devices": Devices(),
    "num_nodes": WHOLE_NUMBER,
    "strategy": Strategy(),
    "precision": Choice((*PRECISIONS, 16, 32, 64), null=True),
    "accumulate_grad_batches": WHOLE_NUMBER,
    "gradient_clip_val": Number(0, null=True),
    "gradient_clip_algorithm": Choice(("norm", "value"), null=True),
    "min_epochs": Number(1, 100_000, whole=True, null=True),
    "limit_train_batches": Share(null=True),
    "limit_test_batches": Share(null=True),
    "limit_predict_batches": Share(null=True),
    "log_every_n_steps": Number(0, 10_000_000, whole=True, null=True),
    "deterministic": Flag(null=True, words=("warn",)),
    "benchmark": Flag(null=True),
    "inference_mode": Flag(),
    "use_distributed_sampler": Flag(),
    "detect_anomaly": Flag(),
    "sync_batchnorm": Flag(),
    "enable_autolog_hparams": Flag(),
    "profiler": Text("the name of a profiler such as simple", null=True),
    "model_registry": Text("a name", null=True),
}


def check_trainer(options: Mapping) -> None:
    """Raises BadInput for the first option that the user can't set, or that has a value that is not allowed.

    options: without interpolations. callbacks are checked where they are made, in training/users_callbacks.py.
    """
    Options().check("trainer", options)
    for key, value in options.items():
        if key in OURS:
            raise BadInput(f"trainer.{key}={shown(value)} is not allowed: {OURS[key]}")
        if key in ALLOWED:
            ALLOWED[key].check(f"trainer.{key}", value)
