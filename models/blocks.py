"""Finds the layers of a network that are worth comparing: its blocks, and what it returns.

Networks are built of blocks, but each library nests them in another way: the four `block1` ... of a small convnet lie
at the top, the twelve of a vision transformer in `encoder.layers`, those of BERT in `encoder.encoder.layer`. So the
search begins at the top and goes into the largest part until it finds several parts side by side that consist of
layers themselves. A network without such parts, such as VGG or a perceptron, is cut behind its poolings, or, without
these, behind each layer with weights.
"""

from collections.abc import Sequence
from fnmatch import fnmatchcase

from torch import nn

from conf.errors import BadInput
from models.slot import Slot

LOGITS = "logits"  # what the whole model returns
KEY = "model.layers"
FEWEST = 3  # parts side by side that are taken for blocks; in a list of equal parts two are enough
POOLINGS = (nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d, nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d)
LISTED = 20


def chosen(backbone: nn.Module, wanted: Sequence[str] | str | None) -> list[str]:
    """Returns names of layers, in the order of the network, `logits` last. wanted: names or patterns such as layer*;
    None: the blocks and the logits. Raises BadInput for a name or pattern that no layer has."""
    if not wanted:
        return [*blocks(backbone), LOGITS]
    wanted = [wanted] if isinstance(wanted, str) else list(wanted)
    layers = [
        (name, layer) for name, layer in backbone.named_modules() if name and not isinstance(layer, nn.ModuleList)
    ]
    there = {name: LOGITS if isinstance(layer, Slot) else name for name, layer in layers} | {LOGITS: LOGITS}
    for pattern in wanted:
        if not any(_matches(name, pattern) for name in there):
            short = [name for name in there if name.count(".") < 2 and there[name] != LOGITS]
            more = f" and {len(there) - LISTED} more" if len(short) > LISTED else ""
            some = ", ".join(short[:LISTED])
            raise BadInput(f"{KEY}: the model has no layer {pattern}; it has {some}{more}, {LOGITS}")
    found = {there[name] for name in there if any(_matches(name, pattern) for pattern in wanted)}
    return [name for name in there if name in found]


def _matches(name: str, pattern: str) -> bool:
    """Tells whether a layer is meant: `*` stands for a part of a name between dots, so that layer* is not
    layer1.conv1."""
    return name == pattern or (name.count(".") == pattern.count(".") and fnmatchcase(name, pattern))


def blocks(network: nn.Module) -> list[str]:
    """Returns the names of the network's blocks, in their order."""
    place = ""
    while True:
        parts = [(name, part) for name, part in network.get_submodule(place).named_children() if _has_weights(part)]
        before = f"{place}." if place else ""
        composed = [(name, part) for name, part in parts if len(_leaves(part)) > 1]
        # Tables of embeddings have layers with weights, too, and are no block.
        found = [name for name, part in composed if not any(isinstance(layer, nn.Embedding) for layer in _leaves(part))]
        listed = isinstance(network.get_submodule(place), nn.ModuleList | nn.Sequential)
        alike = listed and len({type(part) for _, part in parts}) == 1
        if len(found) >= (2 if alike else FEWEST):
            return [before + name for name in found]
        if not composed:
            return _cut(network)
        place = before + max(composed, key=lambda part: len(_leaves(part[1])))[0]


def _cut(network: nn.Module) -> list[str]:
    """Returns the names of the poolings of a network without blocks, or else of its layers with weights."""
    every = list(network.named_modules())
    poolings = [name for name, layer in every if isinstance(layer, POOLINGS)]
    leaves = [name for name, layer in every if name and layer in _leaves(network)]
    return poolings if len(poolings) >= FEWEST else leaves


def _leaves(part: nn.Module) -> list[nn.Module]:
    return [layer for layer in part.modules() if not any(True for _ in layer.children()) and _has_weights(layer)]


def _has_weights(part: nn.Module) -> bool:
    return not isinstance(part, Slot) and any(True for _ in part.parameters())
