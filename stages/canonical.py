"""One form for what means the same, so that it decides the same result.

`1e-3` and `0.001`, `1` and `1.0`, a default that is typed and one that is not, `precision=32` and `32-true`: a user may
write each of them either way. Of the sections that are open (`model`, `data`, `trainer`), what is left out here says
only where something lies or how fast it goes; files of the user's are known by what they hold, wherever they lie.
"""

from collections.abc import Callable, Iterable
from pathlib import Path

from omegaconf import DictConfig, ListConfig, OmegaConf

from stages.sources import code_fingerprint, defaults

Plain = dict | list | str | int | float | bool | None
Fingerprint = Callable[[Path], str]

OURS = ("data", "models")  # whose functions are known by their stage's number, and others by their source
# Of our readers: arguments that name files; that say only where files of a known data set lie, or that they be fetched.
NAMING, WHERE = ("path", "test_path", "tokenizer"), ("root", "download")

TRAINER = "lightning.pytorch.trainer.trainer.Trainer"
# Where and how fast a training runs, and what is shown of it.
HOW = ("accelerator", "strategy", "benchmark", "detect_anomaly", "log_every_n_steps", "profiler")
PRECISIONS = {"32": "32-true", "64": "64-true", "16": "16-mixed", "bf16": "bf16-mixed"}
NEUTRAL = {"precision": "32-true", "accumulate_grad_batches": 1, "gradient_clip_val": None, "processes": 1}


def plain(value: object) -> Plain:
    """Without interpolations; whole numbers as such."""
    if isinstance(value, DictConfig | ListConfig):
        value = OmegaConf.to_container(value, resolve=True)
    if isinstance(value, dict):
        return {str(key): plain(node) for key, node in value.items()}
    if isinstance(value, list | tuple):
        return [plain(node) for node in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def unordered(values: Iterable) -> list:
    """Of a list whose order and repetitions say nothing."""
    return sorted(set(values))


def arguments(node: Plain, fingerprint: Fingerprint, ours: bool = False) -> Plain:
    """What a `_target_` is called with, and what is inside it, at any depth. ours: whether it is inside of ours."""
    if isinstance(node, list):
        return [arguments(part, fingerprint, ours) for part in node]
    if not isinstance(node, dict):
        return node
    target = str(node.get("_target_", ""))
    ours = _ours(target) if target else ours
    known = {key: _file(node, key, fingerprint, ours) or arguments(node[key], fingerprint, ours) for key in node}
    usual = {key: plain(value) for key, value in defaults(target).items()} if target else {}
    known = {key: value for key, value in known.items() if key not in usual or usual[key] != node[key]}
    if ours:
        return {key: value for key, value in known.items() if key not in WHERE and not _idle(key, node)}
    code = code_fingerprint(target) if target else None
    return known | ({"_code_": code} if code else {})


def _ours(target: str) -> bool:
    return target.split(".")[0] in OURS


def _file(node: dict, key: str, fingerprint: Fingerprint, ours: bool) -> str | None:
    """The fingerprint of the file or folder that an argument names, if it does. Of our own functions it is known which
    ones do; of others any text may: a file that is there, or a folder with a / in its name ("train" is a word)."""
    value = node[key]
    if not isinstance(value, str) or not value or key == "_target_" or (ours and key not in NAMING):
        return None
    path = Path(str(node.get("root") or ""), value).expanduser()
    if not path.exists() or path.resolve() in (Path.cwd(), *Path.cwd().parents):
        return None
    named = ours or path.is_file() or "/" in value
    return fingerprint(path) if named else None


def _idle(key: str, node: dict) -> bool:
    """Whether images that can't be read are left out changes nothing unless there are some, and then no stage that
    reads them all ends without it; a draw of some, however, may not have met one."""
    return key == "skip_corrupt" and not (node.get("train_samples") or node.get("test_samples"))


def trainer(options: dict, fingerprint: Fingerprint) -> dict[str, Plain]:
    """Of Lightning's trainer."""
    found = {key: value for key, value in options.items() if key not in (*HOW, "devices", "num_nodes")}
    precision = str(found.get("precision", NEUTRAL["precision"]))
    found["precision"] = PRECISIONS.get(precision, precision)
    found["processes"] = _processes(options)
    usual = NEUTRAL if found.keys() <= NEUTRAL.keys() else defaults(TRAINER) | NEUTRAL
    return {
        key: arguments(value, fingerprint)
        for key, value in found.items()
        if value is not None and (key not in usual or usual[key] != value)
    }


def _processes(options: dict) -> int | str:
    """On how many devices in all: each has batches of its own. What "auto" is, the machine alone knows: it stays so."""
    devices, nodes = options.get("devices", 1), options.get("num_nodes", 1)
    if isinstance(devices, str) and devices.strip("-").replace(",", "").isdecimal():
        devices = [int(part) for part in devices.split(",") if part] if "," in devices else int(devices)
    if isinstance(devices, list):
        devices = len(devices)
    if devices in ("auto", -1):
        return nodes if options.get("accelerator") == "cpu" else "auto"
    return devices * nodes if isinstance(devices, int) and isinstance(nodes, int) else str(devices)
