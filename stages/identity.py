"""What decides a result, and so its name: a run that needs the same result finds it, whichever run made it.

A result is decided by its own settings, in one form (stages/canonical.py), by the number of its stage, and by the
digests of the results that it is made from. For example, `finetune` has its own learning rate, seed and target task;
the model and the pre-training decide it through the digest of `pretrain`. So another learning rate leads to
results/finetune/conv4-digits-seed=0-<another digest>, still made from the same pre-training; another number of patches
leads to other interactions of the same checkpoints.

conf/schema.py says which keys decide which result; stages/table.py says which results are made from which.
"""

import hashlib
import json
import re
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from conf.errors import BadInput
from conf.schema import FEATURES, SIMILAR, VALUES
from stages.address import split
from stages.canonical import Fingerprint, Plain, unordered
from stages.fingerprints import Memory, of_path
from stages.given import of_role, weights_of
from stages.measures import measures_of
from stages.settings import settings_of
from stages.table import ROLES, STAGES, Stage, identified_by, is_made, reads, role_of, roles

DIGITS = 12  # in a digest: among a million results, two share one with a chance of 1 in 500


@dataclass(frozen=True)
class Result:
    """One result of a study, complete or not.

    stage: the stage that makes it; settings: path of a key -> value in one form; inputs: the results that it is made
    from, by name; asked: the requested epochs, `all` or a list, None for a result without epochs; planned: the last
    of them if training does not stop early; parts: what it has to hold, name -> digest (the measures of an
    analysis). The last three are not part of what decides it.
    """

    name: str
    stage: Stage
    folder: Path
    digest: str
    settings: dict[str, Plain]
    inputs: dict[str, "Result"]
    asked: str | tuple[int, ...] | None = None
    planned: int = 0
    parts: dict[str, str] = field(default_factory=dict)

    def decided(self) -> dict[str, Plain]:
        """Returns all that decides it and its inputs, by path, with `number.<stage>` of each stage."""
        found = {}
        for result in self.inputs.values():
            found |= result.decided()
        return found | self.settings | {f"number.{self.stage.name}": self.stage.number}


Results = dict[str, Result]


def results_of(cfg: DictConfig, memory: Memory | None = None) -> Results:
    """Returns every result of the study that `cfg` describes, by name, in the order in which they are made. memory: the
    remembered content of the user's files.

    Raises BadInput if files of the user are missing.
    """
    fingerprint, found = partial(_content, output=Path(cfg.output), memory=memory or memory_of(cfg)), {}
    for stage in STAGES:
        for name in stage.results:
            if is_made(cfg, name):
                found[name] = _result(cfg, stage, name, found, fingerprint)
    return found


def _content(path: Path, output: Path, memory: Memory) -> str:
    """Returns the fingerprint. Raises BadInput for a folder that holds the output, and so changes with every result."""
    if path.resolve() in (output.resolve(), *output.resolve().parents):
        raise BadInput(f"{path} is read as data or weights and contains output={output}: choose another output=...")
    return of_path(path, memory)


def memory_of(cfg: DictConfig) -> Memory:
    return Memory(Path(cfg.output) / "results" / "fingerprints.json")


def compared(cfg: DictConfig) -> list[str]:
    """Returns the names of the results that hold the values of the roles that are compared."""
    return [f"interactions/{ROLES[role]}" for role in roles(cfg)]


def _result(cfg: DictConfig, stage: Stage, name: str, found: Results, fingerprint: Fingerprint) -> Result:
    settings, inputs = settings_of(cfg, name, fingerprint), {read: found[read] for read in reads(cfg, name)}
    by = {read: found[read] for read in identified_by(cfg)} if name == "analysis" else inputs
    if name == "analysis":
        settings["epochs"] = {read: result.asked for read, result in by.items() if read in VALUES}
    content = {
        "name": name,
        "number": stage.number,
        "settings": settings,
        "inputs": {read: result.digest for read, result in by.items()},
    }
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:DIGITS]
    folder = (
        Path(cfg.run_dir or ".", stage.name) if stage.in_run else _place(cfg, name) / f"{_label(cfg, name)}-{digest}"
    )
    parts = measures_of(cfg) if name == "analysis" else {}
    return Result(name, stage, folder, digest, settings, inputs, *_epochs(cfg, name), parts)


def _epochs(cfg: DictConfig, name: str) -> tuple[str | tuple[int, ...] | None, int]:
    """Returns the requested epochs of a result, and the last one."""
    if name in (*VALUES, *SIMILAR):
        role = role_of(name)
        files = of_role(cfg, role)
        if files:
            return tuple(sorted(files)), max(files)
        name = ROLES[role] if name in VALUES else role
    if name == "probe":
        return (cfg.probe.epochs,), cfg.probe.epochs
    if name not in ("pretrain", "finetune", "scratch"):
        return None, 0
    if name == "pretrain" and weights_of(cfg) != "pretrain":
        return (0,), 0
    wanted, last = cfg.checkpoints.epochs, cfg[name].epochs
    if wanted == "all":
        return "all", last
    start = [cfg.start.epoch] if name == "pretrain" and cfg.start.epoch != "last" else []
    return tuple(unordered([*wanted, *start])), last


def _place(cfg: DictConfig, name: str) -> Path:
    return Path(cfg.output, "results", name)


def _label(cfg: DictConfig, name: str) -> str:
    """Returns what a reader sees of a result before its digest: the model, the task, and one more detail."""
    model = str(cfg.model.get("name", cfg.model.get("_target_", "model"))).rpartition(".")[2]
    if name == "interactions/samples":
        parts = [task_name(cfg.data.target), f"n={cfg.interactions.n}"]
    elif name in VALUES:
        parts = [model, task_name(cfg.data.target), f"n={cfg.interactions.n}"]
    elif name in (*FEATURES, *SIMILAR):
        parts = [model, task_name(cfg.data.target)]
    elif name == "pretrain" and (weights := weights_of(cfg)) != "pretrain":
        parts = [model, "random" if weights == "scratch" else weights if _is_name(weights) else "weights"]
    else:
        task = cfg.data.source if name == "pretrain" else cfg.data.target
        seed = cfg.seeds.pretrain if name in ("pretrain", "probe") else cfg.seeds.train
        parts = [model, task_name(task), f"seed={seed}"]
    return re.sub(r"[^\w=.-]", "_", "-".join(parts))[:80]


def _is_name(weights: str) -> bool:
    """Tells whether weights are published ones: their name decides the result and may be in its label, unlike a
    file's name."""
    return not Path(split(weights)[0]).expanduser().exists()


def task_name(options: DictConfig | None) -> str:
    """Returns the name of a task, as its folders show it, such as digits."""
    return made_by(options).rpartition(".")[2] if OmegaConf.is_dict(options) else "none"


def made_by(options: DictConfig) -> str:
    """Returns the function that reads a task's files, also one within another, or else makes the task."""
    while OmegaConf.is_dict(options.get("files")):
        options = options.files
    return str(options.get("_target_", "data"))
