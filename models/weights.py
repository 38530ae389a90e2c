"""Reads weights, gives them the names a model has, loads them, and says clearly when they are not that model's."""

import itertools
import zipfile
from pathlib import Path

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import nn

from conf.check import BadInput
from models.backbone import Classifier

State = dict[str, torch.Tensor]


def read(file: Path) -> State:
    """The state dict in a file of torch or safetensors, on the CPU; nothing in it is executed.

    One that lies under "state_dict", "model_state_dict" or "model", as many programs write it, is found. Raises
    BadInput for a file that is not there, damaged, or holds no state dict.
    """
    if not file.is_file():
        raise BadInput(f"{file} is not there")
    try:
        if file.suffix == ".safetensors":
            return safetensors.torch.load_file(file)
        if zipfile.is_zipfile(file):  # torch's format since 1.6; its table of contents is at its end
            state = torch.load(file, map_location="cpu", weights_only=True)
        else:
            state = _read_legacy(file)
    except Exception as error:  # torch raises many kinds
        raise BadInput(f"{file} can't be read ({_first_line(error)})") from error
    for key in ("state_dict", "model_state_dict", "model"):
        if isinstance(state, dict) and isinstance(state.get(key), dict):
            state = state[key]
    entries = state.items() if isinstance(state, dict) else [(None, None)]
    if not all(isinstance(key, str) and isinstance(tensor, torch.Tensor) for key, tensor in entries):
        raise BadInput(f"{file} holds no plain state dict")
    return dict(state)


def _read_legacy(file: Path) -> State:
    """torch's format before 1.6, in which torchvision's VGG-16 is published."""
    with file.open("rb") as head:
        if head.read(1) != b"\x80":  # a pickle's first byte
            raise ValueError("its end is missing, or it is no file of torch or safetensors")
    return torch.load(file, map_location="cpu", weights_only=True)


def _first_line(error: Exception) -> str:
    if isinstance(error, SafetensorError):
        return f"no whole safetensors file: {error}"
    return (str(error) or type(error).__name__).splitlines()[0]


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
    if different and set(different) <= {"head.weight", "head.bias"} <= state.keys():
        there, here = (len(weights["head.bias"]) for weights in (state, wanted))
        if there != here:
            raise BadInput(f"{source} has {there} classes and the task {here}: check data=...")
    if different:
        shown = ", ".join(different[:3]) + (", ..." if len(different) > 3 else "")
        raise BadInput(f"{source} is of another model: {len(different)} tensors differ ({shown}); check model=...")
    for key, tensor in state.items():
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise BadInput(f"{source} holds NaN or infinity in {key}: the training diverged or the file is damaged")


def size(model: nn.Module) -> int:
    """Bytes of a model's weights."""
    return sum(tensor.numel() * tensor.element_size() for tensor in model.state_dict().values())


def part(state: State, name: str) -> State:
    """The weights of the submodule `name` ("backbone", "head") of a classifier's."""
    prefix = f"{name}."
    return {key.removeprefix(prefix): tensor for key, tensor in state.items() if key.startswith(prefix)}


def as_classifier(model: Classifier, state: State) -> State:
    """`state` under the names of `model`, whether it is of a Classifier or of the network alone, in a wrapper or not.

    Wrappers put a prefix before every name ("module.", "model."); an encoder has another one in its own library's
    classifier, or none ("bert.", "encoder."). The change of prefix is taken that makes most of the backbone's names
    known; the head is found by its name behind any prefix. What is unknown keeps its name.
    """
    names = {**{key: key for key in model.state_dict()}, **model.names}
    strip, add = max(_prefix_changes(state, names), key=lambda change: _known(state, names, *change))
    renamed = {}
    for key, tensor in state.items():
        known = names.get(add + key.removeprefix(strip)) if key.startswith(strip) else None
        renamed[known or key] = tensor
    for raw, ours in model.names.items():
        if ours.startswith("head.") and ours not in renamed:
            found = [key for key in renamed if key == raw or key.endswith(f".{raw}")]
            if len(found) == 1:
                renamed[ours] = renamed.pop(found[0])
    # Batch-norm counts its batches since torch 0.4.1; older files lack that, and nothing here reads it.
    counters = {key: tensor for key, tensor in model.state_dict().items() if key.endswith("num_batches_tracked")}
    return counters | renamed


def _prefix_changes(state: State, names: dict[str, str]) -> list[tuple[str, str]]:
    """(prefix to take away, prefix to add); none of both first, so that it is preferred among equals."""
    tails = {key.rpartition(".")[2] for key in names}
    parts = [key.split(".") for key in state if key.rpartition(".")[2] in tails]
    strips = {""} | {".".join(path[:depth]) + "." for path in parts for depth in (1, 2) if len(path) > depth}
    commonest = sorted(strips, key=lambda strip: -sum(key.startswith(strip) for key in state))[:30]
    adds = {""} | {key.split(".")[0] + "." for key in names}
    return sorted(itertools.product(commonest, adds), key=lambda change: (len(change[0]) + len(change[1]), change))


def _known(state: State, names: dict[str, str], strip: str, add: str) -> int:
    return sum(key.startswith(strip) and add + key.removeprefix(strip) in names for key in state)
