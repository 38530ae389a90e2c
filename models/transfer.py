"""Which of the pre-trained weights fine-tuning starts from: all of them, some, or only what they look like.

all        every weight of the backbone
nothing    none: random weights, as training from scratch has
moments    random weights too, but those of each tensor have the mean and the standard deviation of the pre-trained ones
shuffled   the pre-trained weights, but those of each tensor have changed places
k          those of the first k blocks; the others are random

A pre-trained model that helps may do so by what it knows, or only because its weights have a size from which training
goes well. `moments` and `shuffled` keep the size and none of the knowledge: they are controls. The blocks make a scale
between nothing and all. The head is new in all of them, and the same as with `all`.

A block is one of the backbone's own children that have weights, in their order, whatever is inside it: conv4 has four,
a ResNet six (the stem's two layers count by themselves). Weights that the backbone holds beside its children, such as
the class token of a vision transformer, come with the first block.

Batch-norm's running mean and variance are estimates from the source task, and would tell of it, channel by channel.
So they are drawn or shuffled as weights are. As a variance must stay above 0, it is drawn from the log-normal
distribution with that mean and standard deviation. Every other buffer is a constant of the network, and stays.
"""

import torch
from torch import nn

from conf.errors import BadInput
from models.weights import State

WORDS = ("all", "nothing", "moments", "shuffled")
MEANS, VARIANCES = "running_mean", "running_var"


def start(backbone: nn.Module, pretrained: State, transfer: str | int, seed: int) -> State:
    """Returns the weights to start from, under the names of `pretrained`, all those of the backbone.

    backbone: with random weights; transfer: one of WORDS, or a number of blocks; seed: of what is drawn. Raises
    BadInput for more blocks than there are.
    """
    if transfer == "all":
        return pretrained
    fresh = {key: tensor.clone() for key, tensor in backbone.state_dict().items()}
    if transfer == "nothing":
        return fresh
    if isinstance(transfer, int):
        check(backbone, transfer)
        later = tuple(f"{name}." for name in blocks(backbone)[transfer:])
        return {key: fresh[key] if key.startswith(later) else tensor for key, tensor in pretrained.items()}
    draw = torch.Generator().manual_seed(seed)
    changed = _drawn if transfer == "moments" else _shuffled
    learned = {name for name, _ in backbone.named_parameters(remove_duplicate=False)}
    return {
        key: changed(tensor, key, draw) if key in learned or _last(key) in (MEANS, VARIANCES) else tensor
        for key, tensor in pretrained.items()
    }


def blocks(backbone: nn.Module) -> list[str]:
    """Returns the names of the backbone's children that have parameters, in order."""
    return [name for name, child in backbone.named_children() if any(True for _ in child.parameters())]


def check(backbone: nn.Module, transfer: str | int) -> None:
    """Raises BadInput for more blocks than there are."""
    names = blocks(backbone)
    if isinstance(transfer, int) and transfer > len(names):
        raise BadInput(
            f"start.transfer={transfer} is not allowed: this model has {len(names)} "
            f"block{'s' * (len(names) != 1)} ({', '.join(names[:8])}{', ...' * (len(names) > 8)})"
        )


def _drawn(tensor: torch.Tensor, key: str, draw: torch.Generator) -> torch.Tensor:
    """Returns random numbers with the tensor's mean and standard deviation."""
    mean, deviation = tensor.double().mean(), tensor.double().std(correction=0)
    normal = torch.randn(tensor.shape, generator=draw, dtype=torch.float64)
    if _last(key) == VARIANCES and mean > 0:
        spread = (1 + (deviation / mean) ** 2).log()
        return (mean.log() - spread / 2 + spread.sqrt() * normal).exp().to(tensor.dtype)
    return (mean + deviation * normal).to(tensor.dtype)


def _shuffled(tensor: torch.Tensor, _: str, draw: torch.Generator) -> torch.Tensor:
    return tensor.flatten()[torch.randperm(tensor.numel(), generator=draw)].reshape(tensor.shape)


def _last(key: str) -> str:
    return key.rpartition(".")[2]
