"""The files that the user gives for a role: which, which model in each of them, and of which epoch it is."""

import glob
import re
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from conf.errors import BadInput
from stages.address import IN_FOLDERS, Address, split

# An epoch goes before a step where a name has both: epoch=3-step=400.
COUNTED = [
    re.compile(rf"(?<![a-z])(?:{words})[=_-]*([0-9]+)") for words in ("epoch|ep", "step|iteration|iter|checkpoint|ckpt")
]


def given(cfg: DictConfig, role: str) -> dict[int, Address]:
    """epoch -> where the weights lie, of the files given for a role (of a pattern: by name, numbers as numbers); empty
    if none are. Raises BadInput for what is no file."""
    key, wanted = f"interactions.checkpoints.{role}", cfg.interactions.checkpoints[role]
    if not wanted:
        return {}
    patterns = list(wanted) if OmegaConf.is_list(wanted) else [wanted]
    if not all(isinstance(pattern, str) for pattern in patterns):
        raise BadInput(
            f"{key}={wanted} is not allowed: a file, a pattern such as runs/ft/epoch_*.pt, or a list of these"
        )
    named = [(file, split(pattern)[1]) for pattern in patterns for file in _matching(key, pattern)]
    addresses = [Address(file, name, key, tuple(patterns)) for file, name in dict.fromkeys(named)]
    if role == "pretrain" and len(addresses) > 1:
        raise BadInput(f"{key}={wanted} names {len(addresses)} files: give one, the pre-trained model with its probe")
    return dict(zip(epochs([address.file for address in addresses]), addresses, strict=True))


def epochs(files: list[Path]) -> list[int]:
    """The epoch of each file, by its name (of one that a library named for a folder: the folder's).

    It is the number after epoch, ep, step, iteration, iter, checkpoint or ckpt (with = _ - or nothing between) if all
    names have one and they differ; else, in names that are alike but for their numbers, the last number that differs;
    else the place in the order given. A single file without such a word is of epoch 0.
    """
    names = [file.parent.name if file.name in IN_FOLDERS else file.stem for file in files]
    if len(files) > 1 and len(set(names)) == 1:  # one folder for each epoch
        names = [file.parent.name for file in files]
    columns = [[_counted(name) for name in names]]
    if len(files) > 1 and len({re.sub("[0-9]+", "0", name) for name in names}) == 1:
        columns += reversed(list(zip(*(map(int, re.findall("[0-9]+", name)) for name in names), strict=True)))
    found = (column for column in columns if None not in column and len(set(column)) == len(files))
    return list(next(found, range(len(files))))


def _counted(name: str) -> int | None:
    found = next(filter(None, (pattern.findall(name.lower()) for pattern in COUNTED)), [None])
    return None if found[-1] is None else int(found[-1])


def _matching(key: str, pattern: str) -> list[Path]:
    path = Path(split(pattern)[0]).expanduser()
    found = [path] if path.exists() else [Path(name) for name in glob.glob(str(path), recursive=True)]
    candidates = [[file] if file.is_file() else [file / name for name in IN_FOLDERS] for file in found]
    files = [next(filter(Path.is_file, several)) for several in candidates if any(map(Path.is_file, several))]
    if not files:
        raise BadInput(f"{key}={pattern}: no such file, nor a folder with {' or '.join(IN_FOLDERS)}")
    return sorted(files, key=_by_number)


def _by_number(file: Path) -> list[str | int]:
    return [int(part) if re.fullmatch("[0-9]+", part) else part for part in re.split("([0-9]+)", str(file))]
