"""Which checkpoints are evaluated: those of our own stages, or files that were made elsewhere."""

import glob
import re
from dataclasses import dataclass
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from conf.check import BadInput
from models import weights
from models.backbone import Classifier
from training import checkpoints
from training.folder import ROLES, roles, stage_folder
from training.train import pretrained_file

IN_FOLDERS = ("model.safetensors", "pytorch_model.bin")  # as libraries of the hub save a model in a folder
Weights = list[weights.State]


@dataclass(frozen=True)
class Checkpoint:
    """A model whose values are wanted: each of its parts ("" for the whole) with the file that holds it.

    own: made by a stage of ours; others are renamed as our models name their weights; probed: with our linear probe.
    """

    stage: str
    epoch: int
    parts: tuple[tuple[str, Path, str], ...]  # (part of the model, file, part of the file's weights)
    last: bool = False
    own: bool = True
    probed: bool = False

    def read(self) -> Weights:
        """Of each part, in order. Raises BadInput if a file is not there or damaged."""
        return [checkpoints.read(file) if self.own else weights.read(file) for _, file, _ in self.parts]

    def load_into(self, model: Classifier, states: Weights) -> None:
        """Sets the model's weights to those that `read` gave. Raises BadInput if they are of another or hold NaN."""
        for (name, file, inside), state in zip(self.parts, states, strict=True):
            state = state if self.own else _of_another_program(model, state)
            weights.load(model.get_submodule(name), weights.part(state, inside) if inside else state, file)


def _of_another_program(model: Classifier, state: weights.State) -> weights.State:
    """Under our names, without what the model has not: other programs keep more in a file than weights."""
    state, wanted = weights.as_classifier(model, state), model.state_dict()
    return {key: tensor for key, tensor in state.items() if key in wanted}


def checkpoints_of(cfg: DictConfig) -> list[Checkpoint]:
    """Of the roles to compare: the probed pre-trained model, and every kept epoch of fine-tuning and of scratch."""
    units = []
    for role in roles(cfg):
        stage, files = ROLES[role], given(cfg, role)
        if files:
            last = max(files)
            units += [Checkpoint(stage, e, (("", files[e], ""),), last=e == last, own=False) for e in sorted(files)]
        else:
            units += _probed(cfg) if role == "pretrain" else _trained(cfg, stage)
    return units


def _probed(cfg: DictConfig) -> list[Checkpoint]:
    head = checkpoints.path(stage_folder(cfg, "probe"), cfg.probe.epochs)
    parts = (("backbone", pretrained_file(cfg), "backbone"), ("head", head, ""))
    return [Checkpoint("probe", cfg.probe.epochs, parts, last=True, probed=True)]


def _trained(cfg: DictConfig, stage: str) -> list[Checkpoint]:
    last, folder = cfg[stage].epochs, stage_folder(cfg, stage)
    return [
        Checkpoint(stage, epoch, (("", checkpoints.path(folder, epoch), ""),), last=epoch == last)
        for epoch in sorted(checkpoints.kept(cfg.checkpoints.epochs, last))
    ]


def given(cfg: DictConfig, role: str) -> dict[int, Path]:
    """epoch -> file, of the files given for a role; empty if none are.

    The epoch is the last number in a file's name if all have one and they differ, else the place in the order given
    (of a pattern: by name, numbers as numbers).
    """
    key, wanted = f"interactions.checkpoints.{role}", cfg.interactions.checkpoints[role]
    if not wanted:
        return {}
    patterns = list(wanted) if OmegaConf.is_list(wanted) else [wanted]
    if not all(isinstance(pattern, str) for pattern in patterns):
        raise BadInput(
            f"{key}={wanted} is not allowed: a file, a pattern such as runs/ft/epoch_*.pt, or a list of these"
        )
    files = [file for pattern in patterns for file in _matching(key, pattern)]
    if role == "pretrain" and len(files) > 1:
        raise BadInput(f"{key}={wanted} are {len(files)} files: one is wanted, the pre-trained model with its probe")
    names = [file.parent.name if file.name in IN_FOLDERS else file.stem for file in files]
    numbers = [re.findall(r"[0-9]+", name) for name in names]
    epochs = [int(found[-1]) for found in numbers if found]
    if len(set(epochs)) < len(files):
        epochs = list(range(len(files)))
    return dict(zip(epochs, files, strict=True))


def _matching(key: str, pattern: str) -> list[Path]:
    path = Path(pattern).expanduser()
    found = [path] if path.exists() else [Path(name) for name in glob.glob(str(path), recursive=True)]
    candidates = [[file] if file.is_file() else [file / name for name in IN_FOLDERS] for file in found]
    files = [next(filter(Path.is_file, several)) for several in candidates if any(map(Path.is_file, several))]
    if not files:
        raise BadInput(f"{key}={pattern}: no such file, nor a folder with {' or '.join(IN_FOLDERS)}")
    return sorted(files, key=_by_number)


def _by_number(file: Path) -> list[str | int]:
    return [int(part) if re.fullmatch("[0-9]+", part) else part for part in re.split("([0-9]+)", str(file))]
