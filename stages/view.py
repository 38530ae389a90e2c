"""A run's folder: a view of its results.

    outputs/digits/finetune.lr=0.003/seed=0/
      finetune -> ../../../results/finetune/conv4-digits-seed=0-1f2e3d4c5b6a
      interactions/finetune -> ...
      results.json      which results these are
      config.yaml       the full configuration
      chosen.json       what was chosen: option of each group, keys that differ from the experiment's own
      analysis/         tables, figures, report: these files are here themselves

Its name tells what differs from the experiment's own settings, whatever was typed: a value that equals the
experiment's own is not a difference, nor is a key that decides no result. Links are relative, so that a folder of
outputs can be moved as a whole.
"""

import hashlib
import json
import os
import re
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from conf.errors import BadInput
from stages.differences import differences
from stages.files import beside, is_temporary, remove, replace, write_text
from stages.identity import Results
from stages.locks import locked
from stages.records import read_record, write_record
from stages.table import STAGES

LONGEST = 120  # characters of a name; file systems take 255 bytes
# They say what is done now, or where this folder is, not what the run is.
SHORT_LIVED = ("plan", "wait", "stages", "output", "run_dir")


def run_folder(cfg: DictConfig, own: DictConfig, groups: dict[str, str]) -> Path:
    """Returns a run's folder. own: the experiment's own configuration, with the same groups; groups: the option of
    each group where it differs from the experiment's."""
    if cfg.run_dir is not None:
        return Path(cfg.run_dir)
    differs = folder_name([f"{group}={option}" for group, option in groups.items()] + differences(cfg, own))
    return Path(cfg.output, cfg.name, *([differs] if differs else []), f"seed={cfg.seed}")


def folder_name(parts: list[str]) -> str:
    """Joins the parts, replaces characters that a folder's name may not have, and shortens names that are too long."""
    text = ",".join(parts)
    name = ",".join(re.sub(r"[^\w=.+-]", "_", part) for part in parts).lstrip(".")
    if name == text and len(name.encode()) <= LONGEST:
        return name
    return f"{name.encode()[:LONGEST].decode(errors='ignore')}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def show(
    run: Path, cfg: DictConfig, results: Results, wanted: list[str], chosen: dict[str, dict] | None = None
) -> None:
    """Links the existing results named in `wanted` into the run's folder, beside what it already shows of the same
    study, and writes down which they are. chosen: content of chosen.json, if the caller knows it."""
    with locked(run / "results", guards=run):
        for left in filter(
            is_temporary, [*run.glob(".*"), *run.glob("*/.*"), *run.glob("*/*/.*")]
        ):  # left by a killed run
            remove(left)
        before = recorded(run)
        shown = {
            name: result
            for name, result in results.items()
            if (result.folder / "config.yaml").exists()
            and (name in wanted or before.get(name, {}).get("digest") == result.digest)
        }
        for name in before.keys() - shown.keys():
            if (run / name).is_symlink():
                remove(run / name)
        for name, result in shown.items():
            if not result.stage.in_run:
                make_link(run / name, result.folder)
        listed = {
            name: {"path": os.path.relpath(result.folder.resolve(), run.resolve()), "digest": result.digest}
            for name, result in shown.items()
        }
        full = {key: node for key, node in OmegaConf.to_container(cfg, resolve=True).items() if key not in SHORT_LIVED}
        for stage in ("interactions", "representations"):
            full.get(stage, {}).pop("shard", None)
        _write_if_new(run / "results.json", json.dumps(listed, indent=1) + "\n")
        _write_if_new(run / "config.yaml", OmegaConf.to_yaml(OmegaConf.create(full)))
        if chosen and read_record(run / "chosen.json") != chosen:
            write_record(run / "chosen.json", chosen)


def recorded(run: Path) -> dict[str, dict[str, str]]:
    """Returns the content of a run's results.json: name of a result -> its path, relative to the run, and digest."""
    try:
        return json.loads((run / "results.json").read_text())
    except (OSError, ValueError):
        return {}


def check_layout(output: Path, run: Path) -> None:
    """Prints which results of an earlier version of this program are there: they are neither read nor changed.

    Raises BadInput if they are in this run's folder.
    """
    old = [stage.name for stage in STAGES if _is_old(run / stage.name)]
    if old:
        raise BadInput(
            f"{run} holds results of an earlier version of this program ({', '.join(old)}), which are neither read nor "
            f"changed: choose another name=... or output=..., or move that folder away"
        )
    shared = sorted(path.parent.name for path in (output / "pretrain").glob("*/done.json"))
    if shared:
        count = f"{len(shared)} pre-training{'s' * (len(shared) > 1)}"
        print(
            f"{output / 'pretrain'} holds {count} of an earlier version of this program, neither read nor changed: "
            f"delete that folder if nobody needs it",
            flush=True,
        )


def _is_old(folder: Path) -> bool:
    """Tells whether it is a stage's own folder in the run's, or an analysis that does not record its inputs."""
    if folder.is_symlink() or not (folder / "config.yaml").exists():
        return False
    return folder.name != "analysis" or not (folder / "inputs.json").exists()


def make_link(link: Path, folder: Path) -> None:
    """Makes a link under a temporary name and renames it, so that at every moment a complete link exists."""
    link.parent.mkdir(parents=True, exist_ok=True)
    target = os.path.relpath(folder.resolve(), link.parent.resolve())  # resolved, as the system follows links in a path
    if link.is_symlink() and os.readlink(link) == target:
        return
    made = beside(link)
    made.symlink_to(target)
    replace(made, link)


def _write_if_new(path: Path, text: str) -> None:
    if not path.exists() or path.read_text() != text:
        write_text(path, text)
