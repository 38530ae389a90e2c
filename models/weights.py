"""Reads weights, gives them the names a model has, loads them, and says clearly if they belong to another model."""

import argparse
import itertools
import warnings
import zipfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
from numpy._core import multiarray
from torch import nn
from torch.serialization import safe_globals

from conf.errors import BadInput
from models.backbone import Classifier
from models.unreadable import INSTEAD, program, refusal

State = dict[str, torch.Tensor]
DEEPEST = 5  # parts of the longest prefix that wrappers put before a name: "student.state_dict.module.backbone.0."
DERIVED = {"num_batches_tracked", "position_ids", "token_type_ids", "relative_position_index", "attn_mask"}
# Classes that programs store with weights and that can't hide any code: options, and numbers of numpy, whose functions
# had other names before numpy 2.
INERT = [
    argparse.Namespace,
    np.dtype,
    np.ndarray,
    *(getattr(np.dtypes, name) for name in np.dtypes.__all__),
    *((getattr(multiarray, name), f"numpy.{core}.multiarray.{name}")
      for name in ("scalar", "_reconstruct") for core in ("core", "_core")),
]  # fmt: skip


def read(file: Path) -> State:
    """Reads the tensors in a file of torch or safetensors, to the CPU; nothing in the file is executed.

    Many programs write dicts inside the dict: tensors in those are named by their path, "state_dict.conv1.weight".
    Raises BadInput for a file that is missing, damaged, or not a state dict.
    """
    if not file.is_file():
        raise BadInput(f"{file} was not found")
    try:
        with safe_globals(INERT):
            content = _content(file)
    except BadInput:
        raise
    except Exception as error:  # torch raises many kinds
        raise refusal(file, error) from error
    state = _tensors(content)
    if not state:
        raise BadInput(f"{file} is not a plain state dict ({_about(content)}): {INSTEAD}")
    return state


def _content(file: Path) -> object:
    if file.suffix == ".safetensors":
        return safetensors.torch.load_file(file)
    if zipfile.is_zipfile(file):  # torch's format since 1.6; its table of contents is at its end
        if reason := program(file):
            raise reason
        return torch.load(file, map_location="cpu", weights_only=True)
    with file.open("rb") as head:  # the format before 1.6, in which torchvision's VGG-16 is published
        if head.read(1) != b"\x80":  # a pickle's first byte
            raise ValueError("not a complete file of torch or safetensors")
    with warnings.catch_warnings(action="ignore"):  # they concern pickles that torch did not write, which are refused
        return torch.load(file, map_location="cpu", weights_only=True)


def _tensors(content: object, depth: int = 3) -> State:
    """Returns the tensors of a model in at most two wrappers: the levels below hold an optimiser's numbers per
    weight."""
    found = {}
    for key, value in content.items() if isinstance(content, dict) and depth else ():
        if isinstance(key, str) and isinstance(value, torch.Tensor):
            found[key] = value
        elif isinstance(key, str):
            found |= {f"{key}.{name}": tensor for name, tensor in _tensors(value, depth - 1).items()}
    return found


def _about(content: object) -> str:
    if not isinstance(content, dict):
        return f"it holds an object of class {type(content).__name__}"
    return f"its keys are {', '.join(map(str, content))}"[:200] if content else "its dict is empty"


def listed(names: Iterable[str]) -> str:
    """Returns the first three names."""
    names = list(names)
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")


def load(model: nn.Module, state: State, source: Path) -> None:
    """Sets every parameter and buffer of `model`; `source` names the file in messages."""
    check(model, state, source)
    model.load_state_dict(state)


def load_backbone(model: Classifier, state: State, source: Path) -> None:
    """Loads the backbone of a classifier's weights; the head stays as it is."""
    load(model.backbone, part(state, "backbone"), source)


def check(model: nn.Module, state: State, source: Path) -> None:
    """Raises BadInput if `state` belongs to another model or holds a number that is not finite."""
    wanted = model.state_dict()
    different = sorted(wanted.keys() ^ state.keys())
    different += [key for key in sorted(wanted.keys() & state.keys()) if wanted[key].shape != state[key].shape]
    if different and all(key.startswith("head.") and key in state and key in wanted for key in different):
        there, here = (len(weights[different[0]]) for weights in (state, wanted))
        if there != here:
            raise BadInput(f"{source} has {there} classes and the task {here}: check data=...")
    if different:
        raise BadInput(
            f"{source} belongs to another model: {len(different)} tensors differ ({listed(different)}); check model=..."
        )
    for key, tensor in state.items():
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise BadInput(f"{source} holds NaN or infinity in {key}: the training diverged or the file is damaged")


def size(model: nn.Module) -> int:
    """Returns the bytes of a model's weights."""
    return sum(tensor.numel() * tensor.element_size() for tensor in model.state_dict().values())


def part(state: State, name: str) -> State:
    """Returns the weights of the submodule `name` ("backbone", "head") from those of a classifier."""
    prefix = f"{name}."
    return {key.removeprefix(prefix): tensor for key, tensor in state.items() if key.startswith(prefix)}


def as_classifier(model: Classifier, state: State) -> State:
    """Returns `state` under the names of `model`, whether it comes from a Classifier or the network alone, in a wrapper
    or not.

    Wrappers put a prefix before every name ("module.", "model."); an encoder has another prefix in its own library's
    classifier, or none ("bert.", "encoder."). This function takes the change of prefix that makes most of the
    backbone's names known, and finds the head by its name after any prefix. Unknown tensors keep their names.
    """
    strip, add = prefix_change(model, state)
    names, renamed = names_of(model), {}
    for key, tensor in state.items():
        known = names.get(add + key.removeprefix(strip)) if key.startswith(strip) else None
        renamed[known or key] = tensor
    for raw, ours in model.names.items():
        if ours.startswith("head.") and ours not in renamed:
            found = [key for key in renamed if key == raw or key.endswith(f".{raw}")]
            if len(found) == 1:
                renamed[ours] = renamed.pop(found[0])
    # Batch-norm counts its batches since torch 0.4.1; older files lack the counters, and nothing here reads them.
    counters = {key: tensor for key, tensor in model.state_dict().items() if key.endswith("num_batches_tracked")}
    return counters | renamed


def left_out(model: Classifier, state: State) -> list[str]:
    """Returns the names in `state` that `model` does not take, where `state` uses the model's names.

    Counters and indices, which some versions of a library write and others do not, are left out.
    """
    return sorted(key for key in state.keys() - model.state_dict().keys() if key.rpartition(".")[2] not in DERIVED)


def names_of(model: Classifier) -> dict[str, str]:
    """Returns each name that a weight of `model` may have in a file -> its name in this program."""
    return {**{key: key for key in model.state_dict()}, **model.names}


def prefix_change(model: Classifier, state: State) -> tuple[str, str]:
    """Returns (prefix to take away, prefix to add), so that most names, of tensors of the right shape, become known."""
    names, shapes = names_of(model), {key: tensor.shape for key, tensor in model.state_dict().items()}

    def known(change: tuple[str, str]) -> tuple[int, int]:
        strip, add = change
        found = [(names.get(add + key.removeprefix(strip)), key) for key in state if key.startswith(strip)]
        fitting = sum(name is not None and shapes[name] == state[key].shape for name, key in found)
        return fitting, sum(name is not None for name, _ in found)

    return max(_prefix_changes(state, names), key=known)


def _prefix_changes(state: State, names: dict[str, str]) -> list[tuple[str, str]]:
    """Returns the possible changes; the empty one is first, so that it is preferred among equals."""
    tails = {key.rpartition(".")[2] for key in names}
    parts = [key.split(".") for key in state if key.rpartition(".")[2] in tails]
    strips = Counter(".".join(path[:depth]) + "." for path in parts for depth in range(1, min(len(path), DEEPEST + 1)))
    adds = {""} | {key.split(".")[0] + "." for key in names}
    commonest = ["", *(strip for strip, _ in strips.most_common(30))]
    return sorted(itertools.product(commonest, adds), key=lambda change: (len(change[0]) + len(change[1]), change))
