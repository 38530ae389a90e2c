"""Finds the files of weights that the user gives: which files, which model in each of them, and which epoch."""

import glob
import re
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from conf.allowed import shown
from conf.errors import BadInput
from conf.nested import Paths
from stages.address import IN_FOLDERS, Address, split

# An epoch goes before a step where a name has both: epoch=3-step=400.
COUNTED = [
    re.compile(rf"(?<![a-z])(?:{words})[=_-]*([0-9]+)") for words in ("epoch|ep", "step|iteration|iter|checkpoint|ckpt")
]


def given(key: str, wanted: object) -> dict[int, Address]:
    """Returns epoch -> where the weights are, for the files given at `key` (files of a pattern are sorted by name,
    numbers as numbers); the dict is empty if none are given. Raises BadInput if one is not a file."""
    if not wanted:
        return {}
    patterns = list(wanted) if OmegaConf.is_list(wanted) else [wanted]
    Paths(null=True).check(key, wanted)
    named = [(file, split(pattern)[1]) for pattern in patterns for file in matching(key, pattern)]
    for file, name in named:
        if named.count((file, name)) > 1:
            raise BadInput(f"{key}={shown(wanted)} names {file} twice: leave one of them out")
    addresses = [Address(file, name, key, tuple(patterns)) for file, name in named]
    return dict(zip(epochs([address.file for address in addresses], key), addresses, strict=True))


def of_role(cfg: DictConfig, role: str) -> dict[int, Address]:
    """Returns the same for the files that were given for a role. Raises BadInput for several files of the
    pre-trained model."""
    key, wanted = f"interactions.checkpoints.{role}", cfg.interactions.checkpoints[role]
    found = given(key, wanted)
    if role == "pretrain" and len(found) > 1:
        raise BadInput(f"{key}={wanted} names {len(found)} files: give one, the pre-trained model with its probe")
    return found


def weights_of(cfg: DictConfig) -> str:
    """Returns where pre-trained weights come from: "pretrain" (that stage trains them), "scratch" (random), the name
    that a library has for them, or FILE or FILE#NAME. From a list or pattern of files, `start.epoch` chooses one.

    Raises BadInput if no file is of that epoch.
    """
    wanted, epoch = cfg.model.get("weights", "pretrain"), cfg.start.epoch
    if isinstance(wanted, str) and not _is_pattern(wanted):
        if epoch != "last" and wanted != "pretrain":
            raise BadInput(
                f"start.epoch={epoch} is not allowed: model.weights={wanted} are of one epoch, last is expected"
            )
        return wanted
    found = given("model.weights", wanted)
    if epoch != "last" and epoch not in found:
        raise BadInput(f"start.epoch={epoch}: model.weights has the epochs {', '.join(map(str, sorted(found)))}")
    address = found[max(found) if epoch == "last" else epoch]
    return f"{address.file}#{address.name}" if address.name else str(address.file)


def _is_pattern(text: str) -> bool:
    path = Path(split(text)[0]).expanduser()
    return not path.exists() and any(character in str(path) for character in "*?[")


def epochs(files: list[Path], key: str = "files") -> list[int]:
    """Returns the epoch of each file, by its name (or by its folder's name, if a library chose the file's name).

    It is the number after epoch, ep, step, iteration, iter, checkpoint or ckpt (with = _ - or nothing between) if
    all names have one and they differ; otherwise, in names that are alike except for their numbers, the last number
    that differs; otherwise the place in the given order. A single file without such a word is of epoch 0. Raises
    BadInput, which names `key`, if two files are of the same epoch.
    """
    names = [file.parent.name if file.name in IN_FOLDERS else file.stem for file in files]
    if len(files) > 1 and len(set(names)) == 1:  # one folder for each epoch
        names = [file.parent.name for file in files]
    columns = [[_counted(name) for name in names]]
    if len(files) > 1 and len({re.sub("[0-9]+", "0", name) for name in names}) == 1:
        columns += reversed(list(zip(*(map(int, re.findall("[0-9]+", name)) for name in names), strict=True)))
    found = [column for column in columns if None not in column and len(set(column)) == len(files)]
    if not found:
        _check_differ(files, key)
    return list(found[0] if found else range(len(files)))


def _check_differ(files: list[Path], key: str) -> None:
    counted: dict[int | None, Path] = {}
    for file in files:
        epoch = _counted(file.stem)
        if epoch is not None and epoch in counted:
            raise BadInput(f"{key}: {counted[epoch]} and {file} are both of epoch {epoch}: leave one of them out")
        counted[epoch] = file


def _counted(name: str) -> int | None:
    found = next(filter(None, (pattern.findall(name.lower()) for pattern in COUNTED)), [None])
    return None if found[-1] is None else int(found[-1])


def matching(key: str, pattern: str) -> list[Path]:
    """Returns the files that match a pattern, ~ and ** included; for a folder, the file of weights in it."""
    path = Path(split(pattern)[0]).expanduser()
    found = [path] if path.exists() else [Path(name) for name in glob.glob(str(path), recursive=True)]
    candidates = [[file] if file.is_file() else [file / name for name in IN_FOLDERS] for file in found]
    files = [next(filter(Path.is_file, several)) for several in candidates if any(map(Path.is_file, several))]
    if not files:
        raise BadInput(f"{key}={pattern}: there is no such file, and no such folder with {' or '.join(IN_FOLDERS)}")
    return sorted(files, key=_by_number)


def _by_number(file: Path) -> list[str | int]:
    return [int(part) if re.fullmatch("[0-9]+", part) else part for part in re.split("([0-9]+)", str(file))]
