"""A classifier as backbone and head, for any architecture.

The program trains and evaluates the network's own forward pass. A slot takes the place of the head in the network: it
calls the head, and can record the head's input, which are the penultimate features. An example is SqueezeNet:
convolutions, then the head (a 1x1 convolution with an output per class), ReLU and average. Its features are the input
of the head, averaged over the map; all its weights except the head's are the backbone.
"""

from collections.abc import Sequence

import torch
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from torch import nn
from torch.nn import functional as F
from torch.nn.parameter import is_lazy

from conf.arguments import check_arguments
from conf.errors import BadInput
from models import heads
from models.sizes import sizes
from models.slot import Slot, features, observed

NO_ARGUMENTS = ("weights", "input", "head", "layers")  # keys of `model` that are not passed to its `_target_`


class Classifier(nn.Module):
    """Any network that classifies.

    backbone: the network without the weights of its head; head: the layer with an output per class, or a list of such
    layers; names: maps the network's names of its weights to the names in this class.
    """

    def __init__(self, network: nn.Module, head: Sequence[str] | None = None) -> None:
        """head: the names of the head's layers; None: the last linear layer. Raises BadInput if the network has
        none."""
        super().__init__()
        names = list(head) if head else [heads.last_linear(network)]
        if names == [None]:
            raise BadInput(
                "the model has no linear layer inside it that could be its classifier: name it, model.head=..."
            )
        layers = list(dict.fromkeys(network.get_submodule(name) for name in names))  # one may have several names
        self.head = layers[0] if len(layers) == 1 else nn.ModuleList(layers)
        prefixes = ["head."] if len(layers) == 1 else [f"head.{i}." for i in range(len(layers))]
        self.names = {}
        for layer, prefix in zip(layers, prefixes, strict=True):
            slot = Slot(layer)
            for name in heads.names_of(network, layer):
                self.names |= {f"{name}.{key}": f"{prefix}{key}" for key in layer.state_dict()}
                network.set_submodule(name, slot)
        self.names |= {key: f"backbone.{key}" for key in network.state_dict()}
        self.backbone = network

    def features(self, inputs: torch.Tensor) -> torch.Tensor:
        """Returns the input of the head, averaged over all axes but samples and channels: [B, D]; several heads are
        joined."""
        return features(self.backbone, inputs)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Returns logits [B, classes]."""
        return self.backbone(inputs)


class Probed(nn.Module):
    """A classifier with a linear head on its features in place of its own head; the names of backbone and head are the
    same."""

    def __init__(self, classifier: Classifier, width: int, num_classes: int) -> None:
        super().__init__()
        self.backbone, self.replaced = classifier.backbone, classifier.head
        self.head = nn.Linear(width, num_classes)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.head(features(self.backbone, inputs))


@torch.no_grad()
def is_linear(model: Classifier, inputs: torch.Tensor) -> bool:
    """Returns whether the logits are a linear function of the features, so that a linear probe can replace the head.

    The model is tried with a head of other, large weights, which reveal a limit on the logits, and with their opposite,
    which reveals ReLU or a sum with something else. inputs: [1, ...].
    """
    if not isinstance(model.head, nn.Linear):
        return False
    kept = [parameter.clone() for parameter in model.head.parameters()]
    draw = torch.Generator().manual_seed(0)
    try:
        for parameter in model.head.parameters():
            parameter.copy_(10 * torch.randn(parameter.shape, generator=draw))
        found = []
        for _ in range(2):
            logits, seen, _ = observed(model.backbone, inputs.clone())
            expected = F.linear(seen, model.head.weight, model.head.bias)
            close = (logits - expected).abs().max() <= 1e-4 * expected.abs().max()
            found.append(logits.shape == expected.shape and bool(close))
            for parameter in model.head.parameters():
                parameter.neg_()
        return all(found)
    except Exception:  # the model's own code may raise any error with such weights
        return False
    finally:
        for parameter, before in zip(model.head.parameters(), kept, strict=True):
            parameter.copy_(before)


def probed(model: Classifier, inputs: torch.Tensor) -> Classifier | Probed:
    """Returns the model that takes the weights of a linear probe on the features: the model itself, if its head can
    hold them.

    inputs: [1, ...].
    """
    if is_linear(model, inputs):
        return model
    with torch.no_grad():
        logits, seen, _ = observed(model.backbone, inputs.clone())
        width, classes = seen.shape[1], logits.shape[1]
    return Probed(model, width, classes)


def build(options: DictConfig, num_classes: int) -> Classifier:
    """Builds the architecture that `options` describe (a `_target_` and its arguments), with random weights.

    `head` names the layers of its classifier, if they can't be found automatically.
    """
    arguments = {"_convert_": "all"} | sizes(options)  # the model's code gets plain lists, unless options say otherwise
    given = OmegaConf.to_container(options, resolve=True)
    check_arguments("model", {key: value for key, value in given.items() if key not in NO_ARGUMENTS}, ("num_classes",))
    arguments |= {key: value for key, value in options.items() if key not in NO_ARGUMENTS}
    network = _instantiated(arguments, num_classes)
    wanted = options.get("head")
    if wanted:
        names = heads.named(network, wanted)
    else:
        names = heads.find(network, num_classes, lambda count: _instantiated(arguments, count))
    model = Classifier(network, names)
    if not list(model.backbone.parameters()):
        raise BadInput(
            f"nothing with weights is left beside the model's classifier ({', '.join(names)}): name only the layers "
            f"that have an output per class, model.head=..."
        )
    return model


def check_backbone(options: DictConfig, model: Classifier, other: int) -> None:
    """Raises BadInput if the backbone of `model` is different for `other` classes, so that another model can't take it
    over."""
    try:
        with torch.random.fork_rng(devices=[]), torch.device("meta"):  # without memory or random numbers
            there = build(options, other)
    except Exception:  # whatever a model's own code raises there
        return
    mine, others = (backbone.state_dict() for backbone in (model.backbone, there.backbone))
    depend = [key for key in mine if key not in others or mine[key].shape != others[key].shape]
    if depend or others.keys() - mine.keys():
        named = ", ".join((depend or sorted(others.keys() - mine.keys()))[:5])
        raise BadInput(
            f"these tensors outside the model's classifier depend on the number of classes: {named}; name all layers "
            f"with an output per class, model.head=[a,b]"
        )


def _instantiated(arguments: dict, num_classes: int) -> nn.Module:
    try:
        network = instantiate(arguments, num_classes=num_classes)
    except InstantiationException as error:
        if isinstance(error.__cause__, BadInput):
            raise error.__cause__ from None
        reason = " ".join(str(error.__cause__ or error).split())  # in one line
        way = "; write a small function that takes num_classes and returns the model, and make it the _target_"
        hint = way if "unexpected keyword argument 'num_classes'" in reason else ""
        raise BadInput(f"model can't be built: {reason}{hint}") from error
    if not isinstance(network, nn.Module):
        raise BadInput(f"model can't be built: its _target_ returns a {type(network).__name__}, and not an nn.Module")
    lazy = [name for name, tensor in (*network.named_parameters(), *network.named_buffers()) if is_lazy(tensor)]
    if lazy:
        raise BadInput(
            f"the model's {lazy[0]} has no size before the first input, as in nn.LazyLinear: give its layer the sizes "
            f"of its inputs, as nn.Linear takes them"
        )
    return network
