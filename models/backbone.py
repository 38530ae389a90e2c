"""A classifier as backbone and head, whatever architecture it comes from.

The head stays where it is in the network, so that the network's own forward pass is what is trained and evaluated; a
slot in its place passes on what comes to it and what it makes of that, and can tell what came: the penultimate
features. Take SqueezeNet: convolutions, then the head (a 1x1 convolution with an output per class), ReLU and average.
Its features are the input of the head, averaged over the map; its weights without the head's are the backbone.
"""

from collections.abc import Sequence

import torch
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import DictConfig
from torch import nn
from torch.nn import functional as F

from conf.check import BadInput
from models import heads
from models.sizes import sizes

NO_ARGUMENTS = ("weights", "input", "head")  # of `model`: where weights come from, what data are prepared for it, ...


class Slot(nn.Module):
    """In the place of a head, which belongs to the classifier."""

    def __init__(self, head: nn.Module) -> None:
        super().__init__()
        self._head = (head,)  # in a tuple, so that its weights are not the backbone's
        self.watched, self.given, self.dimensions = False, None, 2

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.watched:
            self.given = x
            if isinstance(x, torch.Tensor):  # what stands for one in a trace can't be asked
                self.dimensions = x.dim()
        return self._head[0](x)

    def __getattr__(self, name: str) -> object:
        """Networks ask their head for its sizes."""
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattribute__("_head")[0], name)


class Classifier(nn.Module):
    """Any network that classifies.

    backbone: the network without the weights of its head; head: the layer with an output per class, or a list of them;
    names: what the network calls its weights -> what this class calls them.
    """

    def __init__(self, network: nn.Module, head: Sequence[str] | None = None) -> None:
        """head: the names of the head's layers; None: the last linear layer. Raises BadInput if there is none."""
        super().__init__()
        names = list(head) if head else [heads.last_linear(network)]
        if names == [None]:
            raise BadInput(
                "the model has no linear layer inside it that could be its classifier: name it, model.head=..."
            )
        layers = [network.get_submodule(name) for name in names]
        self.head = layers[0] if len(layers) == 1 else nn.ModuleList(layers)
        prefixes = ["head."] if len(layers) == 1 else [f"head.{i}." for i in range(len(layers))]
        self.names = {}
        for name, layer, prefix in zip(names, layers, prefixes, strict=True):
            self.names |= {f"{name}.{key}": f"{prefix}{key}" for key in layer.state_dict()}
            network.set_submodule(name, Slot(layer))
        self.names |= {key: f"backbone.{key}" for key in network.state_dict()}
        self.backbone = network

    def features(self, inputs: torch.Tensor) -> torch.Tensor:
        """What comes to the head, averaged over all but the channels: [B, D]; of several heads side by side."""
        return features(self.backbone, inputs)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Logits [B, classes]."""
        return self.backbone(inputs)


class Probed(nn.Module):
    """A classifier with a linear head on its features in place of its own: backbone and head are named alike."""

    def __init__(self, classifier: Classifier, width: int, num_classes: int) -> None:
        super().__init__()
        self.backbone, self.replaced = classifier.backbone, classifier.head
        self.head = nn.Linear(width, num_classes)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.head(features(self.backbone, inputs))


def features(backbone: nn.Module, inputs: torch.Tensor) -> torch.Tensor:
    """[B, D], of the heads that a forward pass reaches."""
    slots = [layer for layer in backbone.modules() if isinstance(layer, Slot)]
    for slot in slots:
        slot.watched, slot.given = True, None
    try:
        backbone(inputs)
        given = [_vector(slot.given, slot.dimensions) for slot in slots if slot.given is not None]
    finally:
        for slot in slots:
            slot.watched, slot.given = False, None
    if not given:
        raise BadInput(
            "the model's forward pass does not call its classifier: name the layer that it calls, model.head=..."
        )
    return given[0] if len(given) == 1 else torch.cat(given, dim=-1)


def _vector(x: torch.Tensor, dimensions: int) -> torch.Tensor:
    """[B, D, H, W], [B, L, D] or [B, D] -> [B, D]."""
    if dimensions == 4:
        return x.mean((2, 3))
    return x.mean(1) if dimensions == 3 else x


@torch.inference_mode()
def is_linear(model: Classifier, inputs: torch.Tensor) -> bool:
    """Whether its logits are what a linear head makes of its features, so that a linear probe can take its place.

    Tried with a head of weights of its own, and with their opposite, which ReLU or a sum with something else betrays.
    inputs: [1, ...].
    """
    if not isinstance(model.head, nn.Linear):
        return False
    kept = [parameter.clone() for parameter in model.head.parameters()]
    try:
        for parameter in model.head.parameters():
            nn.init.normal_(parameter)
        found = []
        for _ in range(2):
            expected = F.linear(model.features(inputs), model.head.weight, model.head.bias)
            logits = model(inputs)
            found.append(logits.shape == expected.shape and torch.allclose(logits, expected, rtol=1e-4, atol=1e-5))
            for parameter in model.head.parameters():
                parameter.neg_()
        return all(found)
    finally:
        for parameter, before in zip(model.head.parameters(), kept, strict=True):
            parameter.copy_(before)


def probed(model: Classifier, inputs: torch.Tensor) -> Classifier | Probed:
    """What takes the weights of a linear probe on the features: the model itself, if its head can hold them.

    inputs: [1, ...].
    """
    if is_linear(model, inputs):
        return model
    with torch.inference_mode():
        width, classes = model.features(inputs).shape[1], model(inputs).shape[1]
    return Probed(model, width, classes)


def build(options: DictConfig, num_classes: int) -> Classifier:
    """The architecture described by `options` (a `_target_` and its arguments), with random weights.

    `head` names the layers that are its classifier, if they are not found.
    """
    arguments = sizes(options) | {key: value for key, value in options.items() if key not in NO_ARGUMENTS}
    network = _instantiated(arguments, num_classes)
    wanted = options.get("head")
    if wanted:
        return Classifier(network, heads.named(network, wanted))
    return Classifier(network, heads.find(network, num_classes, lambda count: _instantiated(arguments, count)))


def _instantiated(arguments: dict, num_classes: int) -> nn.Module:
    try:
        return instantiate(arguments, num_classes=num_classes)
    except InstantiationException as error:
        if isinstance(error.__cause__, BadInput):
            raise error.__cause__ from None
        raise BadInput(f"model can't be built: {error.__cause__ or error}") from error
