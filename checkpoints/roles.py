"""Decides which checkpoints are evaluated: those of our own stages, or external files."""

from dataclasses import dataclass
from pathlib import Path

from omegaconf import DictConfig

from checkpoints import disk
from conf.errors import BadInput
from models import weights
from models.backbone import Classifier, Probed
from models.copies import chosen
from stages.address import Address
from stages.given import of_role, weights_of
from stages.identity import Result, Results
from stages.progress import Bar
from stages.results import epochs_kept, epochs_of, last_epoch, read_done
from stages.table import ROLES, role_of

Weights = list[weights.State]


@dataclass(frozen=True)
class Checkpoint:
    """A model whose values are computed: each of its parts ("" for the whole) with the file that holds it.

    given: the user's address of the file, whose weights get the names of our models; None: one of our stages made it;
    probed: whether it has our linear probe.
    """

    stage: str
    epoch: int
    parts: tuple[tuple[str, Path, str], ...]  # (part of the model, file, part of the file's weights)
    last: bool = False
    given: Address | None = None
    probed: bool = False

    def read(self) -> Weights:
        """Reads the weights of each part, in order. Raises BadInput if a file is missing or damaged."""
        try:
            return [weights.read(file) if self.given else disk.read(file) for _, file, _ in self.parts]
        except BadInput as error:
            raise BadInput(f"{self.given.key}: {error}") if self.given else error from None

    def load_into(self, model: Classifier | Probed, states: Weights) -> list[str]:
        """Sets the model's weights to those that `read` returned; returns the names of those that the model does not
        take.

        Raises BadInput if they belong to another model or hold NaN.
        """
        if self.given:
            return _load_given(model, states[0], self.given)
        for (name, file, inside), state in zip(self.parts, states, strict=True):
            weights.load(model.get_submodule(name), weights.part(state, inside) if inside else state, file)
        return []


def _load_given(model: Classifier, state: weights.State, address: Address) -> list[str]:
    """Loads a user's file, which may hold more than the model, and returns the names that the model does not take."""
    state, wanted = weights.as_classifier(model, chosen(model, state, address)), model.state_dict()
    weights.load(model, {key: tensor for key, tensor in state.items() if key in wanted}, address.file)
    return weights.left_out(model, state)


def check(model: Classifier, with_probe: Classifier | Probed, units: list[Checkpoint]) -> None:
    """Loads every checkpoint that is already on disk; prints once per stage which tensors of the user's files are left
    out.

    with_probe: the model that takes the weights of our linear probe. Raises BadInput for a checkpoint that can't be
    read, or belongs to another model.
    """
    said = set()
    for unit in Bar(units, desc="checking checkpoints", unit="file", leave=False):
        if all(file.exists() for _, file, _ in unit.parts):  # the others have not been made yet
            names = unit.load_into(with_probe if unit.probed else model, unit.read())
            if names and unit.stage not in said:
                said.add(unit.stage)
                count = f"{len(names)} tensor{'s' * (len(names) > 1)}"
                what = f"{unit.given.file} holds {count} that the model does not take"
                Bar.write(f"{unit.given.key}: {what}: {weights.listed(names)}")


def checkpoints_of(cfg: DictConfig, results: Results, name: str) -> list[Checkpoint]:
    """Returns the checkpoints whose values are the result `name`: the probed pre-trained model, or the epochs of
    fine-tuning or scratch that were asked for.

    If the training has not run yet, these are the planned epochs.
    """
    role = role_of(name)
    stage, files = ROLES[role], of_role(cfg, role)
    if files:
        return [
            Checkpoint(stage, epoch, (("", file.file, ""),), last=epoch == max(files), given=file)
            for epoch, file in sorted(files.items())
        ]
    epochs = epochs_of(results[name])
    if role == "pretrain":
        head = disk.path(results[stage].folder, epochs[-1])
        parts = (("backbone", start_file(cfg, results), "backbone"), ("head", head, ""))
        return [Checkpoint(stage, epochs[-1], parts, last=True, probed=True)]
    return [
        Checkpoint(stage, epoch, (("", disk.path(results[stage].folder, epoch), ""),), last=epoch == epochs[-1])
        for epoch in epochs
    ]


def final(cfg: DictConfig, results: Results, role: str) -> Checkpoint:
    """Returns the checkpoint of a role's last epoch: the user's file if one is given, otherwise our own training's."""
    stage, files = ROLES[role], of_role(cfg, role)
    if files:
        epoch = max(files)
        return Checkpoint(stage, epoch, (("", files[epoch].file, ""),), last=True, given=files[epoch])
    epoch = last_epoch(results[stage])
    return Checkpoint(stage, epoch, (("", disk.path(results[stage].folder, epoch), ""),), last=True)


def at(cfg: DictConfig, results: Results, role: str, epoch: int) -> Checkpoint:
    """Returns a role's checkpoint of an epoch: pre-training without a probe, fine-tuning, or training from scratch."""
    files = of_role(cfg, role)
    if files:
        return Checkpoint(ROLES[role], epoch, (("", files[epoch].file, ""),), given=files[epoch])
    return Checkpoint(role, epoch, (("", disk.path(results[role].folder, epoch), ""),))


def start_file(cfg: DictConfig, results: Results) -> Path:
    """Returns the pre-trained weights that probe and fine-tuning start from.

    Raises BadInput if training ended before that epoch.
    """
    return disk.path(results["pretrain"].folder, start_epoch(cfg, results))


def start_epoch(cfg: DictConfig, results: Results) -> int:
    """Returns the epoch of these weights, 0 for weights that were not trained here.

    Raises BadInput if training ended before it.
    """
    if weights_of(cfg) != "pretrain":
        return 0
    epoch = start_within(cfg, last_epoch(results["pretrain"]))
    _check_kept(cfg, results["pretrain"], epoch)
    return epoch


def start_within(cfg: DictConfig, last: int) -> int:
    """Returns the epoch to start from, of a pre-training that ends with epoch `last`. Raises BadInput if it has no such
    epoch."""
    epoch = last if cfg.start.epoch == "last" else cfg.start.epoch
    if epoch > last:
        raise BadInput(f"start.epoch={epoch} is not allowed: pre-training has {last} epochs; last, or one up to {last}")
    return epoch


def _check_kept(cfg: DictConfig, pretrain: Result, epoch: int) -> None:
    """Raises BadInput if the pre-training is there and did not keep the epoch: hours of training must not begin anew
    because a run starts from another epoch."""
    done, kept = read_done(pretrain.folder) or {}, epochs_kept(pretrain.folder)
    asked = cfg.checkpoints.epochs == "all" or epoch in cfg.checkpoints.epochs
    if done.get("digest") == pretrain.digest and kept and epoch not in kept and not asked:
        raise BadInput(
            f"start.epoch={epoch} is not allowed: the pre-training in {pretrain.folder} has kept the epochs "
            f"{', '.join(map(str, kept))}; choose one of them, or train it again with {epoch} in checkpoints.epochs"
        )
