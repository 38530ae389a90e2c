"""Finds the layers of a network that are its classifier: those that have an output per class.

Most networks have one, a linear layer at the end. Some have several (a distilled vision transformer averages two), or a
1x1 convolution whose maps are pooled, or hidden layers whose width happens to be the number of classes. In doubt, the
network is built again for one class more: the layers that have grown are the classifier.
"""

from collections.abc import Callable, Sequence

import torch
from torch import nn

from conf.errors import BadInput


def find(network: nn.Module, num_classes: int, build: Callable[[int], nn.Module]) -> list[str]:
    """Returns the names of these layers. build: makes the network for any number of classes.

    Raises BadInput if the network has none.
    """
    found = of_size(network, num_classes)
    if len(found) != 1 or found[0] != last_linear(network):
        found = _growing(found, num_classes, build) or found
    if not found:
        raise BadInput(
            f"the model has no linear layer or 1x1 convolution with an output for each of the {num_classes} classes: "
            f"it must take num_classes, or name its classifier, model.head=...; the last layers with weights: "
            f"{_last(network)}"
        )
    return found


def named(network: nn.Module, wanted: str | Sequence[str]) -> list[str]:
    """Returns the layers that `model.head` names. Raises BadInput for a name that the network does not have."""
    names = [wanted] if isinstance(wanted, str) else list(wanted)
    there = {name for name, _ in network.named_modules(remove_duplicate=False)} - {""}
    for name in names:
        if name not in there:
            raise BadInput(
                f"model.head={name} is not a layer of the model; the last layers with weights: {_last(network)}"
            )
    return names


def names_of(network: nn.Module, layer: nn.Module) -> list[str]:
    """Returns all names of a layer: a network may hold a layer twice."""
    return [name for name, other in network.named_modules(remove_duplicate=False) if other is layer]


def last_linear(network: nn.Module) -> str | None:
    """Returns the name of the last linear layer inside the network; None if it has none."""
    names = [name for name, layer in network.named_modules() if isinstance(layer, nn.Linear) and name]
    return names[-1] if names else None


def of_size(network: nn.Module, num_classes: int) -> list[str]:
    return [name for name, layer in network.named_modules() if name and _outputs(layer) == num_classes]


def _growing(found: list[str], num_classes: int, build: Callable[[int], nn.Module]) -> list[str]:
    """Returns the layers that have one output more for one class more; all if the network can't be built twice."""
    try:
        with torch.random.fork_rng(devices=[]), torch.device("meta"):  # without memory or random numbers
            other = build(num_classes + 1)
    except Exception:  # whatever a model's own code raises
        return found
    grown = set(of_size(other, num_classes + 1))
    return [name for name in found if name in grown]


def _outputs(layer: nn.Module) -> int | None:
    """Returns the number of outputs of a layer that may be a classifier, None for other layers."""
    if isinstance(layer, nn.Linear):
        return layer.out_features
    if isinstance(layer, nn.Conv2d) and tuple(layer.kernel_size) == (1, 1):
        return layer.out_channels
    return None


def _last(network: nn.Module) -> str:
    """Returns the last five layers with weights, one of which the user may mean."""
    return ", ".join([name for name, layer in network.named_modules() if name and layer._parameters][-5:]) or "none"
