"""The epochs whose layers shards have compared (stages/shares.py), until the run that joins them takes them over.

<result>/shards/<key>/last.npz, epoch_012/...    as they will be in the result (representations/similarity.py)
"""

import shutil
from pathlib import Path

from omegaconf import DictConfig

from conf.errors import BadInput
from stages.checksums import damaged
from stages.files import remove, replace
from stages.identity import Result
from stages.results import epochs_of, has_these_inputs
from stages.shares import Share, folder_of, key_of, remove_others

ARCHIVE, META, LAST = "similarity.npz", "meta.json", "last.npz"


def place(folder: Path, epoch: int) -> Path:
    return folder / f"epoch_{epoch:03d}"


def has(folder: Path, epoch: int) -> bool:
    return all((place(folder, epoch) / name).exists() for name in (ARCHIVE, META))


def lacking(result: Result, epochs: list[int]) -> list[int]:
    """Returns the epochs that neither the result nor a shard has."""
    folders = [folder_of(result), *([result.folder] if has_these_inputs(result) else [])]
    return [epoch for epoch in epochs if not any(has(folder, epoch) for folder in folders)]


def left(cfg: DictConfig, result: Result) -> list[int]:
    """Returns the epochs that this run compares."""
    share, epochs = Share.asked(cfg, result.stage), epochs_of(result)
    if share and share.joins:
        return []
    return lacking(result, share.part(epochs) if share else epochs)


def check_whole(cfg: DictConfig, results: list[Result]) -> None:
    """Raises BadInput if this run only joins what shards have made, and some are missing."""
    lines = []
    for result in results:
        share, epochs = Share.asked(cfg, result.stage), epochs_of(result)
        if share and share.joins:
            missing = [epochs.index(epoch) for epoch in lacking(result, epochs)]
            lines += [str(error) for error in [share.missing(result.name, missing, len(epochs))] if error]
    if lines and not cfg.plan:
        raise BadInput("; ".join(lines))


def take_over(result: Result) -> None:
    """Moves into the result what shards have made from the same inputs, without what is damaged."""
    folder = folder_of(result)
    for file in damaged(folder, None) if folder.exists() else ():
        remove(file)
    for epoch in epochs_of(result):
        if has(folder, epoch) and not has(result.folder, epoch):
            place(result.folder, epoch).mkdir(exist_ok=True)
            names = [f"{place(folder, epoch).name}/{name}" for name in (ARCHIVE, META)]
            for name in [LAST, *names] if epoch == epochs_of(result)[-1] else names:
                if (folder / name).exists():  # a run that was killed here has moved it
                    replace(folder / name, result.folder / name)


def clean(result: Result) -> None:
    """Removes what is in the result by now, and what was made from inputs that are not there any more."""
    folder = folder_of(result)
    for left in folder.glob("epoch_*"):
        if has(result.folder, int(left.name.removeprefix("epoch_"))):
            shutil.rmtree(left, ignore_errors=True)
    remove_others(result, key_of(result) if any(folder.glob("epoch_*")) else None)
