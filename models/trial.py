"""Tries a model on an input or two before a long run: one line says what does not work, and what to do."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn
from torch.nn import functional as F

from conf.errors import BadInput
from conf.first_line import first_line
from models.backbone import Classifier
from models.slot import observed
from models.weights import listed

SAME = 1e-6  # the allowed difference of two passes of the same input, as a share of the largest number
ALONE = 1e-9  # the same in float64, of an input alone and among others
AUXILIARY = ("GoogLeNetOutputs", "InceptionOutputs")  # what torchvision's networks return in training mode


def check(model: nn.Module, inputs: torch.Tensor, classes: int, where: str, training: bool = False) -> None:
    """Raises BadInput unless the model returns logits [B, classes] for `inputs` [B, ...].

    In evaluation mode two passes must give the same logits; with `training` the model must also learn in training mode.
    where: the name of the inputs in messages. The model is left in evaluation mode and otherwise unchanged.
    """
    _check_weights(model)
    with as_it_was(model):
        model.eval()
        with torch.no_grad():
            logits = _tried(model, inputs[:1], where)
            _check_logits(logits, 1, classes, "")
            _check_heads(model, inputs[:1], classes)
            _check_same(model, inputs[:1])
        if training:
            logits = _tried(model.train(), inputs, where)
            _check_logits(logits, len(inputs), classes, " in training mode")
            _check_backward(model, logits)


def check_alone(model: nn.Module, inputs: torch.Tensor) -> None:
    """Raises BadInput if the first of `inputs` [B, ...] has other logits alone than among the others, or if the model
    can't run in float64. In float64 even a weak influence of the other inputs is visible."""
    with as_it_was(model), _in_float64(model.eval(), inputs) as inputs, torch.no_grad():
        alone, among = _seen(model, inputs[:1]), _seen(model, inputs)
    if any(_differ(one, other[: len(one)], ALONE) for one, other in zip(alone, among, strict=True)):
        raise BadInput(
            "the model's output for an input depends on the rest of its batch (as with batch-norm without running "
            "statistics): interactions.engine=dense interactions.batch_size=1 evaluates every input alone"
        )


@contextmanager
def as_it_was(model: nn.Module) -> Iterator[None]:
    """Restores the model's buffers and torch's random numbers, and leaves the model in evaluation mode without
    gradients."""
    kept = [
        (layer, name, buffer, buffer.clone())
        for layer in model.modules()
        for name, buffer in layer._buffers.items()
        if buffer is not None
    ]
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        model.eval().zero_grad(set_to_none=True)
        with torch.no_grad():
            for layer, name, buffer, before in kept:
                layer._buffers[name] = buffer.copy_(before)


@contextmanager
def _in_float64(model: nn.Module, inputs: torch.Tensor) -> Iterator[torch.Tensor]:
    """Converts the model to float64 for a while and yields the inputs in this type. Raises BadInput if it can't run
    so."""
    try:
        inputs = inputs.double() if inputs.is_floating_point() else inputs
        try:
            with torch.no_grad():
                kind = model.double()(inputs.clone()).dtype
            reason = "" if kind == torch.float64 else f"it returns {str(kind).removeprefix('torch.')}"
        except Exception as error:  # whatever a model's own code raises
            reason = first_line(error)
        if reason:
            raise BadInput(
                f"the model can't run in float64, in which the noise of its values is measured ({reason}): leave out "
                f"casts to float32 in its forward pass, and make its tensors buffers: self.register_buffer(name, x)"
            )
        yield inputs
    finally:
        model.float()


def _tried(model: nn.Module, inputs: torch.Tensor, where: str) -> object:
    try:
        return model(inputs.clone())  # a model may write to its input
    except BadInput:
        raise
    except Exception as error:  # whatever a model's own code raises
        shape = "x".join(map(str, inputs.shape[1:]))
        raise BadInput(
            f"model can't take the inputs of {where}, {shape} ({first_line(error)}): check model.input and data=..."
        ) from error


def _seen(model: nn.Module, inputs: torch.Tensor) -> list[torch.Tensor]:
    """Returns the logits, and the input of the classifier, whose weights may begin as zeros."""
    if not isinstance(model, Classifier):
        return [model(inputs.clone())]
    logits, features, _ = observed(model.backbone, inputs.clone())
    return [logits, features]


def _differ(one: torch.Tensor, other: torch.Tensor, share: float) -> bool:
    return bool((one - other).abs().max() > share * one.abs().max())


def _check_weights(model: nn.Module) -> None:
    others = [name for name, value in model.state_dict().items() if not isinstance(value, torch.Tensor)]
    if others:
        raise BadInput(
            f"the model keeps more than tensors among its weights ({listed(others)}): leave out get_extra_state, and "
            f"make its tensors buffers: self.register_buffer(name, x)"
        )


def _check_same(model: nn.Module, inputs: torch.Tensor) -> None:
    if any(_differ(one, other, SAME) for one, other in zip(_seen(model, inputs), _seen(model, inputs), strict=True)):
        raise BadInput(
            "the model is random in evaluation mode: the same input gives different logits each time; let its forward "
            "pass draw random numbers only in training mode (F.dropout needs training=self.training)"
        )


def _check_heads(model: nn.Module, inputs: torch.Tensor, classes: int) -> None:
    """Checks that the classifier, which every task replaces, has an output for each class."""
    if not isinstance(model, Classifier):
        return
    try:
        shapes = {name: list(made.shape) for name, made in observed(model.backbone, inputs.clone())[2].items()}
    except (AttributeError, TypeError) as error:
        raise BadInput(
            f"the model's classifier must take a tensor and return one ({first_line(error)}): name a layer that does, "
            f"model.head=..."
        ) from error
    for name, shape in shapes.items():
        if classes not in (*shape[1:2], *shape[-1:]):
            raise BadInput(
                f"model.head={name} returns a tensor {shape}, without a number for each of the {classes} classes: name "
                f"the layer that has an output per class"
            )


def _check_backward(model: nn.Module, logits: torch.Tensor) -> None:
    labels = torch.arange(len(logits)) % logits.shape[1]
    try:
        F.cross_entropy(logits, labels).backward()
    except Exception as error:  # whatever a model's own code causes
        raise BadInput(
            f"the model can't be trained: the backward pass of its loss fails ({first_line(error)}); its forward pass "
            f"must not change in place what gradients need, nor leave them out (detach, no_grad)"
        ) from error


def _check_logits(logits: object, count: int, classes: int, mode: str) -> None:
    if not isinstance(logits, torch.Tensor):
        kind = type(logits).__name__
        way = " (auxiliary classifiers: +model.aux_logits=false)" if kind in AUXILIARY else ""
        raise BadInput(
            f"the model returns a {kind}{mode}, and not a tensor of logits [inputs, {classes}]: give it a forward pass "
            f"that returns these alone{way}"
        )
    if logits.shape != (count, classes):
        shape = list(logits.shape)
        raise BadInput(
            f"the model returns a tensor {shape}{mode} for {count} inputs, and not logits [{count}, {classes}]: it "
            f"must take num_classes, and return a number for each class"
        )
    sums = logits.detach().double().sum(1)
    if classes > 1 and (logits >= 0).all() and torch.allclose(sums, torch.ones_like(sums), atol=1e-5):
        raise BadInput("the model returns probabilities, which sum to 1, and not logits: leave out its softmax")
