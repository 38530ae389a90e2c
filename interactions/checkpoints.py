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
from training.folder import ROLES, stage_folder
from training.train import pretrained_file


@dataclass(frozen=True)
class Checkpoint:
    """A model whose values are wanted: each of its parts ("" for the whole) with the file that holds it.

    own: made by a stage of ours; others are renamed as our models name their weights.
    """

    stage: str
    epoch: int
    parts: tuple[tuple[str, Path, str], ...]  # (part of the model, file, part of the file's weights)
    last: bool = False
    own: bool = True

    def load_into(self, model: Classifier) -> None:
        """Raises BadInput if a file is damaged, of another model, or holds NaN."""
        model.float()
        for name, file, inside in self.parts:
            state = checkpoints.read(file) if self.own else weights.as_classifier(model, weights.read(file))
            weights.load(model.get_submodule(name), weights.part(state, inside) if inside else state, file)


def checkpoints_of(cfg: DictConfig) -> list[Checkpoint]:
    """The probed pre-trained model, and every kept epoch of fine-tuning and of training from scratch."""
    units = []
    for role, stage in ROLES.items():
        files = given(cfg, role)
        if files:
            last = max(files)
            units += [Checkpoint(stage, e, (("", files[e], ""),), last=e == last, own=False) for e in sorted(files)]
        else:
            units += _probed(cfg) if role == "pretrain" else _trained(cfg, stage)
    return units


def _probed(cfg: DictConfig) -> list[Checkpoint]:
    head = checkpoints.path(stage_folder(cfg, "probe"), cfg.probe.epochs)
    parts = (("backbone", pretrained_file(cfg), "backbone"), ("head", head, ""))
    return [Checkpoint("probe", cfg.probe.epochs, parts, last=True)]


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
    files = [
        file for pattern in (wanted if OmegaConf.is_list(wanted) else [wanted]) for file in _matching(key, pattern)
    ]
    if role == "pretrain" and len(files) > 1:
        raise BadInput(f"{key}={wanted} are {len(files)} files: one is wanted, the pre-trained model with its probe")
    numbers = [re.findall(r"\d+", file.stem) for file in files]
    epochs = [int(found[-1]) for found in numbers if found]
    if len(set(epochs)) < len(files):
        epochs = list(range(len(files)))
    return dict(zip(epochs, files, strict=True))


def _matching(key: str, pattern: str) -> list[Path]:
    found = [Path(name) for name in glob.glob(str(Path(pattern).expanduser()), recursive=True)]
    files = [file for file in found if file.is_file()]
    if not files:
        raise BadInput(f"{key}={pattern}: no such file")
    return sorted(
        files, key=lambda file: [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", str(file))]
    )
