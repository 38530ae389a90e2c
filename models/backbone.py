"""A classifier as backbone and head, whatever architecture it comes from."""

import torch
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import DictConfig
from torch import nn

from conf.check import BadInput
from models.sizes import sizes


class Classifier(nn.Module):
    """Any network whose last linear layer is its classifier.

    backbone: inputs -> features [B, D], the input of that last layer (the "penultimate" features);
    head: features -> logits [B, classes];
    names: what the network calls its weights -> what this class calls them.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        name, head = _last_linear(network)
        self.names = {f"{name}.{key}": f"head.{key}" for key in head.state_dict()}
        network.set_submodule(name, nn.Identity())
        self.names |= {key: f"backbone.{key}" for key in network.state_dict()}
        self.backbone = network
        self.head = head

    def features(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.backbone(inputs)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.head(self.backbone(inputs))


def _last_linear(network: nn.Module) -> tuple[str, nn.Linear]:
    layers = [(name, layer) for name, layer in network.named_modules() if isinstance(layer, nn.Linear)]
    if not layers or layers[-1][0] == "":
        raise BadInput("the model has no linear layer inside it that could be its classifier")
    return layers[-1]


def build(options: DictConfig, num_classes: int) -> Classifier:
    """The architecture described by `options` (a `_target_` and its arguments), with random weights.

    `weights` (where pre-trained ones come from) and `input` (what data are prepared for it) are no arguments of it.
    """
    arguments = sizes(options) | {key: value for key, value in options.items() if key not in ("weights", "input")}
    try:
        network = instantiate(arguments, num_classes=num_classes)
    except InstantiationException as error:
        if isinstance(error.__cause__, BadInput):
            raise error.__cause__ from None
        raise BadInput(f"model can't be built: {error.__cause__ or error}") from error
    model = Classifier(network)
    if model.head.out_features != num_classes:
        raise BadInput(
            f"model has {model.head.out_features} classes and the task {num_classes}: it must take num_classes"
        )
    return model
