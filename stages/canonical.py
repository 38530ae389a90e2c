"""Brings settings that mean the same into one form, so that they decide the same result.

`1e-3` and `0.001`, `1` and `1.0`, a default that is typed and one that is not, `precision=32` and `32-true`: a user
may write each of them either way. In the open sections (`model`, `data`, `trainer`), keys are left out that say only
where something is or how fast it runs; a user's files are identified by their content, wherever they are.
"""

import glob
from collections.abc import Callable, Iterable
from pathlib import Path

from omegaconf import DictConfig, ListConfig, OmegaConf

from stages.sources import code_fingerprint, defaults, source_of

Plain = dict | list | str | int | float | bool | None
Fingerprint = Callable[[Path], str]

# Our modules: their functions are identified by their stage's number, all others by their source.
OURS = (
    *(
        f"data.{name}"
        for name in ("embedded", "phrases", "images", "text", "vision", "official", "folder", "hub", "halves")
    ),
    *(f"models.{name}" for name in ("vision", "text")),
)
# Arguments of our readers that name files; those that say only where a known data set is, or to download it.
NAMING, WHERE = ("path", "test_path", "tokenizer"), ("root", "download")
BY_NAME = ("hydra.utils.get_method", "hydra.utils.get_class", "hydra.utils.get_object")  # they call what `path` names

TRAINER = "lightning.pytorch.trainer.trainer.Trainer"
# Where and how fast a training runs, and what is shown of it.
HOW = ("accelerator", "strategy", "benchmark", "detect_anomaly", "log_every_n_steps", "profiler")
SHARES = ("limit_train_batches", "limit_test_batches", "limit_predict_batches")  # 1 is one batch, 1.0 is all of them
PRECISIONS = {"32": "32-true", "64": "64-true", "16": "16-mixed", "bf16": "bf16-mixed"}
NEUTRAL = {"precision": "32-true", "accumulate_grad_batches": 1, "gradient_clip_val": None, "processes": 1}


def plain(value: object) -> Plain:
    """Returns the value without interpolations."""
    if isinstance(value, DictConfig | ListConfig):
        value = OmegaConf.to_container(value, resolve=True)
    if isinstance(value, dict):
        return {str(key): plain(node) for key, node in value.items()}
    return [plain(node) for node in value] if isinstance(value, list | tuple) else value


def whole(value: Plain) -> Plain:
    """Turns 1.0 into 1, at any depth. It is for values where both mean the same, as they may not in a user's code."""
    if isinstance(value, dict):
        return {key: whole(node) for key, node in value.items()}
    if isinstance(value, list):
        return [whole(node) for node in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def unordered(values: Iterable) -> list:
    """Sorts a list whose order and repetitions have no meaning."""
    return sorted(set(values), key=lambda value: (type(value).__name__, value))


def arguments(node: Plain, fingerprint: Fingerprint, ours: bool = False, root: str = "") -> Plain:
    """Returns what a `_target_` is called with, and what is inside it, at any depth.

    ours: whether it is inside one of our targets; root: the folder to which paths are relative.
    """
    if isinstance(node, list):
        return [(not ours and _file(part, fingerprint, root)) or arguments(part, fingerprint, ours) for part in node]
    if not isinstance(node, dict):
        return whole(node) if ours else node
    target, root = str(node.get("_target_", "")), str(node.get("root") or "")
    ours = target.rpartition(".")[0] in OURS if target else ours
    files = {key: _named_file(key, value, fingerprint, ours, root) for key, value in node.items()}
    known = {key: files[key] or arguments(value, fingerprint, ours, root) for key, value in node.items()}
    usual = plain(defaults(target)) if target else {}
    known = {key: value for key, value in known.items() if files[key] or key not in usual or usual[key] != node[key]}
    if ours:
        return {key: value for key, value in known.items() if key not in WHERE and not _idle(key, node)}
    code = _code(target, node, fingerprint)
    return known | ({"_code_": code} if code else {})


def _code(target: str, node: dict, fingerprint: Fingerprint) -> str | None:
    """Returns the fingerprint of the source behind a target if it is the user's: in a module of their own, or in one
    that they have put among ours."""
    name = str(node.get("path")) if target in BY_NAME else target
    found, source = (code_fingerprint(name), source_of(name)) if name else (None, None)
    among_ours = source is not None and name.partition(".")[0] in ("data", "models") and not found
    return fingerprint(source) if among_ours else found


def _named_file(key: str, value: Plain, fingerprint: Fingerprint, ours: bool, root: str) -> str | None:
    """Returns the fingerprint of a file. Our functions have known arguments that name files; of others any may."""
    if key == "_target_" or (ours and key not in NAMING):
        return None
    return _file(value, fingerprint, root, ours)


def _file(value: Plain, fingerprint: Fingerprint, root: str, named: bool = False) -> str | None:
    """Returns the fingerprint of what a text names, or None: an existing file, files that match a pattern, or a
    folder with a / in its name ("train" is a word), or with any name if it is known to be `named`."""
    if not isinstance(value, str) or not value:
        return None
    path = Path(root, value).expanduser()
    try:
        if path.is_file() or (path.is_dir() and (named or "/" in value)):
            return fingerprint(path)
        several = sorted(glob.glob(str(path), recursive=True)) if "/" in value and glob.has_magic(value) else []
    except (OSError, ValueError):  # not a file's name
        return None
    return "; ".join(fingerprint(Path(name)) for name in several) or None


def _idle(key: str, node: dict) -> bool:
    """Tells whether an argument changes nothing: the `size` that a plan assumes, and mostly `skip_corrupt`. That one
    matters only if some images can't be read, and then a stage that reads all of them does not end without it; a random
    draw, however, may have contained none of them."""
    if key == "size":
        return node.get("_target_") == "data.images.task"
    return key == "skip_corrupt" and not (node.get("train_samples") or node.get("test_samples"))


def trainer(options: dict, fingerprint: Fingerprint) -> dict[str, Plain]:
    """Returns the options of Lightning's trainer that decide a result."""
    found = {key: value for key, value in options.items() if key not in (*HOW, "devices", "num_nodes")}
    found = {key: value if key in SHARES else whole(value) for key, value in found.items()}
    precision = str(found.get("precision", NEUTRAL["precision"]))
    found["precision"] = PRECISIONS.get(precision, precision)
    found["processes"] = _processes(options)
    usual = NEUTRAL if found.keys() <= NEUTRAL.keys() else defaults(TRAINER) | NEUTRAL
    return {
        key: arguments(value, fingerprint)
        for key, value in found.items()
        if value not in (None, [], {}) and (key not in usual or usual[key] != value)
    }


def _processes(options: dict) -> int | str:
    """Returns the number of devices in total, as each has its own batches. "auto" stays, as only the machine knows
    its value."""
    devices, nodes = options.get("devices", 1), options.get("num_nodes", 1)
    if isinstance(devices, str) and devices.strip("-").replace(",", "").isdecimal():
        devices = [int(part) for part in devices.split(",") if part] if "," in devices else int(devices)
    if isinstance(devices, list):
        devices = len(devices)
    if devices in ("auto", -1):
        return nodes if options.get("accelerator") == "cpu" else "auto"
    return devices * nodes if isinstance(devices, int) and isinstance(nodes, int) else str(devices)
