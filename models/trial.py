"""Tries a model on an input or two before hours are spent on it: one line says what can't be served, and what to do."""

import torch
from torch import nn

from conf.check import BadInput


def check(model: nn.Module, inputs: torch.Tensor, classes: int, where: str, training: bool = False) -> None:
    """Raises BadInput unless the model makes logits [B, classes] of `inputs` [B, ...], in evaluation mode and, where
    asked for, in training mode. where: the inputs come from. The model is left in evaluation mode, as it was."""
    _check_logits(_tried(model.eval(), inputs[:1], where), 1, classes, "")
    if not training:
        return
    before = [buffer.clone() for buffer in model.buffers()]  # batch-norm learns from what it sees
    with torch.random.fork_rng(devices=[]):
        logits = _tried(model.train(), inputs, where)
    model.eval()
    with torch.no_grad():
        for buffer, kept in zip(model.buffers(), before, strict=True):
            buffer.copy_(kept)
    _check_logits(logits, len(inputs), classes, " in training mode")


def check_alone(model: nn.Module, inputs: torch.Tensor) -> None:
    """Raises BadInput if the first of `inputs` [B, ...] has other logits alone than among the others."""
    with torch.inference_mode():
        alone, among = model.eval()(inputs[:1]), model(inputs)[:1]
    if (alone - among).abs().max() > 0.01 * alone.abs().max():
        raise BadInput(
            "the model's output for an input depends on the rest of its batch (as with batch-norm without running "
            "statistics): interactions.engine=dense interactions.batch_size=1 evaluates every input alone"
        )


def _tried(model: nn.Module, inputs: torch.Tensor, where: str) -> object:
    try:
        with torch.inference_mode():
            return model(inputs)
    except BadInput:
        raise
    except Exception as error:  # whatever a model's own code raises
        shape = "x".join(map(str, inputs.shape[1:]))
        reason = (str(error) or type(error).__name__).strip().splitlines()[0]
        raise BadInput(
            f"model can't take the inputs of {where}, {shape} ({reason}): check model.input and data=..."
        ) from error


def _check_logits(logits: object, count: int, classes: int, mode: str) -> None:
    if not isinstance(logits, torch.Tensor):
        raise BadInput(
            f"the model returns a {type(logits).__name__}{mode}, and not a tensor of logits [inputs, {classes}]: give "
            f"it a forward pass that returns these alone (auxiliary classifiers: +model.aux_logits=false)"
        )
    if logits.shape != (count, classes):
        shape = list(logits.shape)
        raise BadInput(
            f"the model returns a tensor {shape}{mode} for {count} inputs, and not logits [{count}, {classes}]: it "
            f"must take num_classes, and return a number for each class"
        )
    sums = logits.double().sum(1)
    if classes > 1 and (logits >= 0).all() and torch.allclose(sums, torch.ones_like(sums), atol=1e-5):
        raise BadInput("the model returns probabilities, which sum to 1, and not logits: leave out its softmax")
