"""Masks tokens instead of inputs, where a model cuts its input into tokens that see one variable each.

A vision transformer's patch embedding (a convolution whose windows neither overlap nor leave gaps) and the word
embedding of a text model turn each patch or word into a vector by itself. Each token of a
masked input therefore has the embedding that it has in the input or in the baseline. Both are computed once, and
masking a token means to select one of the two. The result is exact.
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
    """Takes the place of an embedding and returns what has been `chosen`."""

    chosen: torch.Tensor

    def __init__(self, embedding: nn.Module) -> None:
        super().__init__()
        # The tuple hides it from torch: as a submodule it would change the names in the model's state dict.
        self._embedding = (embedding,)

    def forward(self, _: torch.Tensor) -> torch.Tensor:
        return self.chosen

    def __getattr__(self, name: str) -> object:
        """Passes on the attributes of the embedding: networks ask it for its sizes, or use its weights once more."""
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattribute__("_embedding")[0], name)


class Readers(TorchDispatchMode):
    """Counts the operations that read a tensor's memory, in layers and in functions."""

    def __init__(self, tensor: torch.Tensor) -> None:
        super().__init__()
        # The memory is compared: a view of the input is another tensor, but reading it is reading the input.
        self.memory, self.count = tensor.untyped_storage().data_ptr(), 0

    def __torch_dispatch__(self, func: object, types: object, args: tuple = (), kwargs: dict | None = None) -> object:
        given = (value for value in tree_leaves((args, kwargs)) if isinstance(value, torch.Tensor))
        if any(value.untyped_storage().data_ptr() == self.memory for value in given):
            self.count += 1
        return func(*args, **kwargs or {})


@dataclass(frozen=True)
class Tokens:
    """The embeddings of some inputs and of the baseline, which masked tokens are selected from.

    name: the embedding's name within the model; inputs: [S, ...] and baseline: [...], both embedded; member: [S, ...].
    """

    name: str
    inputs: torch.Tensor
    baseline: torch.Tensor
    member: torch.Tensor

    def chosen(self, which: torch.Tensor, subset: torch.Tensor) -> torch.Tensor:
        """Returns the embeddings of the masked inputs (which[k], subset[k]): [K, ...]."""
        return masked(self.inputs[which], self.baseline, self.member[which], subset)


@contextmanager
def selected(model: nn.Module, tokens: Tokens) -> Iterator[Selection]:
    """Replaces the model's embedding by a selection while the context lasts."""
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
    """Embeds inputs [S, ...] and baseline [...] with the layer called `name`; returns None if a token has parts of
    several variables.

    owner: [S, ...], or a shape that broadcasts to it: the variable that each entry belongs to.
    """
    layer = model.get_submodule(name)
    if isinstance(layer, nn.Embedding):  # a token is a vector: one more axis, [..., None]
        return Tokens(name, layer(inputs), layer(baseline), membership(owner)[..., None])
    of_token = _owner_of_windows(owner, layer.kernel_size)
    if of_token is None:
        return None
    return Tokens(name, layer(inputs), layer(baseline[None])[0], membership(of_token))


def embedding(model: nn.Module, inputs: torch.Tensor) -> str | None:
    """Returns the name of the layer that takes the input itself, if it is an embedding and nothing else takes the
    input.

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
        # The model may also compute an attention mask from the ids: it is the same for all masked inputs of one length,
        # as a masked word is not padding.
        return takers[0]
    return takers[0] if isinstance(layer, nn.Conv2d) and _cuts(layer) and _read_once(model, inputs) else None


def _cuts(layer: nn.Conv2d) -> bool:
    """Returns whether the windows of the convolution neither overlap nor leave gaps."""
    return layer.kernel_size == layer.stride and layer.padding == (0, 0) and layer.dilation == (1, 1)


@torch.no_grad()
def _read_once(model: nn.Module, inputs: torch.Tensor) -> bool:
    """Returns whether only the convolution reads the input. A function such as `x.mean()` could read it too, and is not
    a layer."""
    inputs = inputs.clone()
    with Readers(inputs) as readers:
        model(inputs)
    return readers.count == 1


def _owner_of_windows(owner: torch.Tensor, size: tuple[int, int]) -> torch.Tensor | None:
    """Returns the owner of each window: [S, 1, H, W] -> [S, 1, H / size, W / size]; None if a window has several
    owners."""
    # A window has one owner if its largest and its smallest number are equal. (The pooling does not support integers;
    # float64 holds such small ones exactly.)
    lowest, highest = (sign * F.max_pool2d(sign * owner.double(), size) for sign in (-1, 1))
    return lowest.long() if torch.equal(lowest, highest) else None
