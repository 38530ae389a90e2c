"""A stage's folder: which settings made what it holds, and whether it is complete.

<stage>/config.yaml   the part of the configuration that determines the stage, its inputs' part included
<stage>/done.json     written last: the stage is complete
"""

import glob
import hashlib
import json
import os
import platform
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import filelock
from omegaconf import DictConfig, OmegaConf
from yaml import YAMLError

from conf.errors import BadInput
from stages.address import split
from stages.files import write_text

# What determines a stage: its own keys and, through its inputs, those of other stages.
# Where and how fast it runs (accelerator, strategy, device, batch size of the interactions) does not, nor does where
# the files of a known data set lie; what data are prepared for a model (model.input) is part of the data.
WHERE = {"trainer": ("accelerator", "strategy"), "model": ("input",), "files": ("root", "download")}
OWN_SETTINGS = {
    "pretrain": ("seed", "model", "data.source", "pretrain", "checkpoints", "trainer"),
    "probe": ("seed", "model", "data.target", "probe"),
    "finetune": ("seed", "model", "data.target", "finetune", "checkpoints", "trainer"),
    "scratch": ("seed", "model", "data.target", "scratch", "checkpoints", "trainer"),
    "interactions": (
        "seed",
        "model",
        "data.target",
        *(f"interactions.{key}" for key in ("n", "samples", "split", "background", "precision", "noise_masks")),
        *(f"interactions.{key}" for key in ("grid", "margin", "baseline", "stop_words", "checkpoints")),
    ),
    "analysis": ("analysis",),
}
INPUTS = {
    "pretrain": (),
    "probe": ("pretrain",),
    "finetune": ("pretrain",),
    "scratch": (),
    "interactions": ("probe", "finetune", "scratch"),
    "analysis": ("interactions", "probe", "finetune", "scratch"),
}
ROLES = {"pretrain": "probe", "finetune": "finetune", "scratch": "scratch"}  # whose weights stand for which model


def roles(cfg: DictConfig) -> list[str]:
    """The models that are compared, in the order of ROLES."""
    return [role for role in ROLES if role in cfg.interactions.roles]


def inputs(cfg: DictConfig, stage: str) -> list[str]:
    """The stages whose results `stage` reads. Where models are compared, those of the roles that are left out, or whose
    checkpoints somebody else made, are not needed."""
    if stage not in ("interactions", "analysis"):
        return list(INPUTS[stage])
    ours = {ROLES[role] for role in roles(cfg) if not cfg.interactions.checkpoints[role]}
    return [name for name in INPUTS[stage] if name in ours or name == "interactions"]


def weights_of(cfg: DictConfig) -> str:
    """Where pre-trained weights come from: "pretrain" (that stage trains them), "scratch" (random), or elsewhere."""
    return str(cfg.model.get("weights", "pretrain"))


def settings(cfg: DictConfig, stage: str) -> dict:
    """The part of the configuration that determines `stage`, as nested plain values; files with size and date."""
    chosen = _chosen(cfg, stage)
    if "weights" in chosen.get("model", {}):
        chosen["model"]["weights"] = _dated(chosen["model"]["weights"])
    files = chosen.get("interactions", {}).get("checkpoints", {})
    for role, given in files.items():
        patterns = given if isinstance(given, list) else [given] if given else []
        files[role] = [_dated(name) for pattern in patterns for name in _matching(str(pattern))] or None
    return chosen


def _matching(pattern: str) -> list[str]:
    """The names that a pattern stands for, each with the #NAME behind the pattern."""
    files, name = split(pattern)
    return [f"{file}#{name}" if name else file for file in sorted(glob.glob(files)) or [files]]


def _dated(name: str) -> str:
    """With size and date if it is a file: another one may come to lie in its place."""
    path = Path(split(str(name))[0]).expanduser()
    if not path.is_file():
        return name
    about = path.stat()
    return f"{name} ({about.st_size} bytes, {time.strftime('%Y-%m-%d %H:%M:%S', time.gmtime(about.st_mtime))})"


def _chosen(cfg: DictConfig, stage: str) -> dict:
    keys, waiting, seen = set(), [stage], set()
    while waiting:
        name = waiting.pop()
        seen.add(name)
        keys.update(_own_settings(cfg, name))
        waiting.extend(inputs(cfg, name))
    chosen = OmegaConf.create({})
    for key in sorted(keys):
        value = OmegaConf.select(cfg, key)
        if OmegaConf.is_config(value):
            value = _without(OmegaConf.to_container(value, resolve=True), key.rpartition(".")[2])
        OmegaConf.update(chosen, key, value, force_add=True)
    # Results may be older than a key: it is left out while it asks for what was done without it.
    if "interactions" in seen and roles(cfg) != list(ROLES):
        OmegaConf.update(chosen, "interactions.roles", roles(cfg), force_add=True)
    if chosen.get("model", {}).get("head", "") is None:
        chosen.model.pop("head")
    if "pretrain" not in seen:
        chosen.get("model", {}).pop("weights", None)
    return OmegaConf.to_container(chosen)


def _own_settings(cfg: DictConfig, stage: str) -> tuple[str, ...]:
    if stage != "pretrain" or weights_of(cfg) == "pretrain":
        return OWN_SETTINGS[stage]
    return ("seed", "model") if weights_of(cfg) == "scratch" else ("model",)


def _without(value: object, name: str) -> object:
    """`value`, the node called `name`, without what does not determine a result."""
    if not isinstance(value, dict):
        return value
    dropped = set(WHERE.get(name, ()))
    if name == "files" and "path" in value:  # one's own files are known by their place alone
        dropped -= {"root"}
    if name in ("source", "target") and not (value.get("train_samples") or value.get("test_samples")):
        # Whether images that can't be read are left out changes nothing unless there are some, and then no stage that
        # reads them all ends without it.
        dropped |= {"skip_corrupt"}
    return {key: _without(node, key) for key, node in value.items() if key not in dropped}


def stage_folder(cfg: DictConfig, stage: str) -> Path:
    """Where a stage's results lie. Pre-trained weights are shared: their folder is named by what determines them."""
    if stage == "analysis":
        return Path(cfg.run_dir) / cfg.analysis.name
    if stage != "pretrain":
        return Path(cfg.run_dir) / stage
    chosen = _chosen(cfg, stage)
    digest = hashlib.sha256(json.dumps(chosen, sort_keys=True).encode()).hexdigest()[:8]
    model = str(cfg.model.get("name", cfg.model._target_)).rpartition(".")[2]
    if weights_of(cfg) == "pretrain":
        source = (cfg.data.source or {}).get("_target_", "none")
        origin = [str(source).rpartition(".")[2]]
    else:
        origin = [re.sub(r"[^\w.-]", "_", weights_of(cfg))[-60:]]
    seed = [f"seed={cfg.seed}"] if "seed" in chosen else []
    return Path(cfg.output) / "pretrain" / "-".join((model, *origin, *seed, digest))


def is_first_process() -> bool:
    """Lightning starts one more process for each further device: they compute, and this one alone writes."""
    return int(os.environ.get("LOCAL_RANK", 0)) == 0 and int(os.environ.get("NODE_RANK", 0)) == 0


def is_complete(folder: Path) -> bool:
    """Whether the stage has ended and nothing it left has been deleted since."""
    try:
        done = json.loads((folder / "done.json").read_text())
    except (OSError, ValueError):
        return False
    return all((folder / name).exists() for name in done.get("holds", []))


def check_settings(cfg: DictConfig, stage: str) -> None:
    """Raises BadInput if the stage's folder was made with other settings, naming each key with both values."""
    folder = stage_folder(cfg, stage)
    path = folder / "config.yaml"
    if not path.exists():
        return
    try:
        there = _flat(OmegaConf.to_container(OmegaConf.load(path)))
    except (OSError, ValueError, YAMLError) as error:
        raise BadInput(f"{path} can't be read: delete {folder} and run {stage} again") from error
    asked = _flat(settings(cfg, stage))
    absent = object()
    changed = [key for key in sorted(there | asked) if _differ(there.get(key, absent), asked.get(key, absent))]
    if changed:
        listed = "; ".join(
            f"{key}: {there.get(key, 'absent')} there, {asked.get(key, 'absent')} asked" for key in changed
        )
        own_name = "analysis.name=..." if stage == "analysis" else "name=..."
        raise BadInput(
            f"{folder} was made with other settings ({listed}): give this run a name of its own ({own_name}), "
            f"ask for the settings there, or delete that folder"
        )


def _differ(there: object, asked: object) -> bool:
    """A file that has gone since is no other file."""
    if isinstance(there, list) and isinstance(asked, list) and len(there) == len(asked):
        return any(map(_differ, there, asked))
    return there != asked and not str(there).startswith(f"{asked} (")


def start(cfg: DictConfig, stage: str) -> Path:
    """Creates the stage's folder with its settings, and returns it. Raises BadInput if it has others already."""
    check_settings(cfg, stage)
    folder = stage_folder(cfg, stage)
    folder.mkdir(parents=True, exist_ok=True)
    if is_first_process() and not (folder / "config.yaml").exists():
        write_text(folder / "config.yaml", OmegaConf.to_yaml(OmegaConf.create(settings(cfg, stage))))
    return folder


def finish(folder: Path, **facts: object) -> None:
    """Marks the folder complete: when, with which versions, and which files it holds."""
    if not is_first_process():
        return
    packages = {name: version(name) for name in ("torch", "torchvision", "lightning", "numpy")}
    about = {"finished": time.strftime("%Y-%m-%dT%H:%M:%S%z"), "python": platform.python_version(), **packages, **facts}
    holds = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    about["holds"] = [name for name in holds if name != "done.json" and not name.endswith(".tmp")]
    write_text(folder / "done.json", json.dumps(about, indent=1) + "\n")


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Only one process works in `folder` at a time; others wait and say so."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(folder.with_name(f".{folder.name}.lock"))
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        print(f"waiting: another run works in {folder}", flush=True)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _flat(node: object, prefix: str = "") -> dict[str, object]:
    if not isinstance(node, dict):
        return {prefix: node}
    return {
        path: value
        for key, child in node.items()
        for path, value in _flat(child, f"{prefix}.{key}" if prefix else str(key)).items()
    }
