"""Masks tokens instead of inputs, where a model cuts its input into tokens that see one variable each.

A vision transformer's patch embedding (a convolution whose windows neither overlap nor leave gaps) and the word
embedding of a text model turn each patch or word into a vector by itself. The embedding of a masked input is then,
token by token, that of the input or that of the baseline: both are computed once, and a masked token is a selection.
It is exact.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from interactions.variables.masking import masked, membership
from models.watch import watch


class Selection(nn.Module):
    """Replaces an embedding and returns what has been `chosen` for it."""

    chosen: torch.Tensor

    def __init__(self, embedding: nn.Module) -> None:
        super().__init__()
        # In a tuple torch does not see it: as a submodule it would change the names in the model's state dict.
        self._embedding = (embedding,)

    def forward(self, _: torch.Tensor) -> torch.Tensor:
        return self.chosen

    def __getattr__(self, name: str) -> object:
        """Networks ask their embedding for its sizes, or use its weights once more."""
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattribute__("_embedding")[0], name)


class Readers(TorchDispatchMode):
    """Counts the operations that read a tensor's memory, whether a layer does them or a function."""

    def __init__(self, tensor: torch.Tensor) -> None:
        super().__init__()
        # By the memory: a view of the input is another tensor, and reading it is reading the input.
        self.memory, self.count = tensor.untyped_storage().data_ptr(), 0

    def __torch_dispatch__(self, func: object, types: object, args: tuple = (), kwargs: dict | None = None) -> object:
        given = (value for value in tree_leaves((args, kwargs)) if isinstance(value, torch.Tensor))
        if any(value.untyped_storage().data_ptr() == self.memory for value in given):
            self.count += 1
        return func(*args, **kwargs or {})


@dataclass(frozen=True)
class Tokens:
    """name: of the embedding within the model; inputs: [S, ...], baseline: [...], both embedded; member: [S, ...]."""

    name: str
    inputs: torch.Tensor
    baseline: torch.Tensor
    member: torch.Tensor

    def chosen(self, which: torch.Tensor, subset: torch.Tensor) -> torch.Tensor:
        """The embeddings of the masked inputs (which[k], subset[k]): [K, ...]."""
        return masked(self.inputs[which], self.baseline, self.member[which], subset)


@contextmanager
def selected(model: nn.Module, tokens: Tokens) -> Iterator[Selection]:
    """The model with its embedding replaced by a selection."""
    layer = model.get_submodule(tokens.name)
    selection = Selection(layer)
    model.set_submodule(tokens.name, selection)
    try:
        yield selection
    finally:
        model.set_submodule(tokens.name, layer)


@torch.inference_mode()
def tokens(
    model: nn.Module, name: str, inputs: torch.Tensor, baseline: torch.Tensor, owner: torch.Tensor
) -> Tokens | None:
    """Of inputs [S, ...] and baseline [...], by the embedding called `name`; None if a token has parts of several
    variables. owner: [S, ...], or what broadcasts to it: the variable that each entry belongs to.
    """
    layer = model.get_submodule(name)
    if isinstance(layer, nn.Embedding):  # a token is a vector: one more axis, [..., None]
        return Tokens(name, layer(inputs), layer(baseline), membership(owner)[..., None])
    of_token = _owner_of_windows(owner, layer.kernel_size)
    if of_token is None:
        return None
    return Tokens(name, layer(inputs), layer(baseline[None])[0], membership(of_token))


def embedding(model: nn.Module, inputs: torch.Tensor) -> str | None:
    """The name of the layer that takes the input itself, if it is an embedding and nothing else takes the input.

    inputs: [1, ...], of the model's type.
    """
    takers: list[str] = []

    def note(name: str, given: tuple, _: object) -> None:
        if given and given[0] is inputs:
            takers.append(name)

    watch(model, inputs, note)
    # Two layers that take the input would need a selection each.
    layer = model.get_submodule(takers[0]) if len(takers) == 1 else None
    if isinstance(layer, nn.Embedding):
        # From ids an attention mask may be computed besides: it is the same for all masked inputs of one length, as a
        # masked word is not padding.
        return takers[0]
    return takers[0] if isinstance(layer, nn.Conv2d) and _cuts(layer) and _read_once(model, inputs) else None


def _cuts(layer: nn.Conv2d) -> bool:
    """Into windows that neither overlap nor leave gaps."""
    return layer.kernel_size == layer.stride and layer.padding == (0, 0) and layer.dilation == (1, 1)


@torch.no_grad()
def _read_once(model: nn.Module, inputs: torch.Tensor) -> bool:
    """By the convolution, and by no other function: `x.mean()` is not a layer."""
    inputs = inputs.clone()
    with Readers(inputs) as readers:
        model(inputs)
    return readers.count == 1


def _owner_of_windows(owner: torch.Tensor, size: tuple[int, int]) -> torch.Tensor | None:
    """[S, 1, H, W] -> [S, 1, H / size, W / size]; None if a window has entries of different owners."""
    # A window has one owner if the largest of its numbers is the smallest, too. (The pooling knows no integers; float64
    # holds such small ones exactly.)
    lowest, highest = (sign * F.max_pool2d(sign * owner.double(), size) for sign in (-1, 1))
    return lowest.long() if torch.equal(lowest, highest) else None
