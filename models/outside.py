"""Checks the tensors that no checkpoint contains: a model that is built again must have the same ones.

Every stage builds the model with its own random numbers and loads what a checkpoint has. A random projection that is a
plain attribute would silently differ from stage to stage. Tensors that follow from the weights or are the same in every
model (positions, the product of weight-norm) are harmless.
"""

from collections.abc import Callable, Iterator

import torch
from torch import nn

from conf.errors import BadInput
from models.trial import as_it_was


@torch.no_grad()
def check(model: nn.Module, build: Callable[[], nn.Module], inputs: torch.Tensor) -> None:
    """Raises BadInput if a tensor outside the state dict differs between `model` and another model that `build` makes.

    Both have the same weights, and are compared after a pass of the same `inputs` [B, ...].
    """
    if not _outside(model):
        return
    with as_it_was(model), torch.random.fork_rng(devices=[]):
        torch.manual_seed(torch.initial_seed() + 1)
        other = build().eval()
        other.load_state_dict(model.state_dict())
        for network in (model.eval(), other):
            network(inputs.clone())  # some tensors are made by the forward pass
        mine, others = _outside(model), _outside(other)
    different = [name for name, tensor in mine.items() if not _equal(tensor, others.get(name))]
    if different:
        name = different[0].removeprefix("backbone.")
        raise BadInput(
            f"the model's tensor {name} is random and no checkpoint holds it, so that each stage would compute with "
            f"another one: make it a persistent buffer, self.register_buffer(name, tensor)"
        )


def _outside(model: nn.Module) -> dict[str, torch.Tensor]:
    """Returns buffers that are not saved, and tensors that are plain attributes or in a list or dict of these, by
    name."""
    found = {}
    for path, layer in model.named_modules():
        plain = {name: value for name, value in vars(layer).items() if name not in ("_parameters", "_buffers")}
        unsaved = {name: layer._buffers.get(name) for name in layer._non_persistent_buffers_set}
        for name, tensor in _tensors("", plain | unsaved):
            found[".".join(filter(None, (path, name)))] = tensor
    return found


def _tensors(path: str, value: object, depth: int = 4) -> Iterator[tuple[str, torch.Tensor]]:
    if isinstance(value, torch.Tensor):
        yield path, value
    elif isinstance(value, dict | list | tuple) and depth:
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        for key, inside in pairs:
            yield from _tensors(f"{path}.{key}" if path else str(key), inside, depth - 1)


def _equal(one: torch.Tensor, other: torch.Tensor | None) -> bool:
    if other is None or one.shape != other.shape or one.dtype != other.dtype:
        return False
    if not (one.is_floating_point() or one.is_complex()):
        return torch.equal(one, other)
    return torch.allclose(one, other, rtol=1e-4, atol=1e-6, equal_nan=True)
