"""Loads weights into a model, and says clearly when they are not that model's."""

from pathlib import Path

import torch
from torch import nn

from conf.check import BadInput
from models.backbone import Classifier

State = dict[str, torch.Tensor]


def load(model: nn.Module, state: State, source: Path) -> None:
    """Sets every parameter and buffer of `model`; `source` names the file in messages."""
    check(model, state, source)
    model.load_state_dict(state)


def load_backbone(model: Classifier, state: State, source: Path) -> None:
    """The backbone of a classifier's weights; the head stays as it is."""
    load(model.backbone, part(state, "backbone"), source)


def check(model: nn.Module, state: State, source: Path) -> None:
    """Raises BadInput if `state` is of another model or holds a number that is not finite."""
    wanted = model.state_dict()
    different = sorted(wanted.keys() ^ state.keys())
    different += [key for key in sorted(wanted.keys() & state.keys()) if wanted[key].shape != state[key].shape]
    if different:
        shown = ", ".join(different[:3]) + (", ..." if len(different) > 3 else "")
        raise BadInput(f"{source} is of another model: {len(different)} tensors differ ({shown}); check model=...")
    for key, tensor in state.items():
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise BadInput(f"{source} holds NaN or infinity in {key}: the training diverged or the file is damaged")


def part(state: State, name: str) -> State:
    """The weights of the submodule `name` ("backbone", "head") of a classifier's."""
    prefix = f"{name}."
    return {key.removeprefix(prefix): tensor for key, tensor in state.items() if key.startswith(prefix)}
