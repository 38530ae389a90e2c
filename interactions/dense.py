"""Computes v(x_T) for all 2**n subsets T of the variables of every sample."""

from collections.abc import Callable

import torch
from torch import nn

from interactions.variables.masking import masked
from models.memory import formatted

# From the samples and the subsets of K masked inputs, both [K], to their logits [K, classes].
Logits = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def log_odds(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Returns v = log p/(1-p) of the true class (Eq. 1), as z_y - logsumexp(z_j, j != y), which is finite where p
    rounds to 1.

    logits: [B, classes], any float type; labels: [B]. Returns [B] float64.
    """
    logits = logits.double()
    true = logits.gather(1, labels[:, None])
    others = logits.scatter(1, labels[:, None], -torch.inf)  # the true class adds exp(-inf) = 0 to their sum
    return true[:, 0] - others.logsumexp(1)


def masked_values(
    model: nn.Module,
    inputs: torch.Tensor,
    baseline: torch.Tensor,
    member: torch.Tensor,
    labels: torch.Tensor,
    sample: torch.Tensor,
    subset: torch.Tensor,
    batch_size: int,
    memory_format: torch.memory_format = torch.channels_last,
) -> torch.Tensor:
    """Returns v of the masked inputs (sample[k], subset[k]), k < K, by the model's own forward passes: [K] float64, on
    the device of `inputs`.

    inputs: [S, ...]; baseline: [...]; member: [S, ...], from `masking.membership`; labels: [S]; sample, subset: [K];
    memory_format: that of images. The model is in evaluation mode, of the inputs' type and on their device.
    """

    def logits(which: torch.Tensor, kept: torch.Tensor) -> torch.Tensor:
        return model(formatted(masked(inputs[which], baseline, member[which], kept), memory_format))

    return values(logits, labels, sample, subset, batch_size)


@torch.inference_mode()
def values(
    logits: Logits, labels: torch.Tensor, sample: torch.Tensor, subset: torch.Tensor, batch_size: int
) -> torch.Tensor:
    """Returns v of the masked inputs (sample[k], subset[k]), k < K: [K] float64.

    Every forward pass has `batch_size` masked inputs, from any of the samples (the last batch repeats its last input).
    So a value does not depend on K: kernels are chosen by the shape, and another kernel could round differently.
    Batches are smaller only if the memory does not suffice. This function does not wait for the device.
    """
    out, start = torch.empty(len(subset), dtype=torch.float64, device=subset.device), 0
    while start < len(subset):
        batch = torch.arange(start, start + batch_size, device=subset.device).clamp(max=len(subset) - 1)
        which = sample[batch]
        try:
            v = log_odds(logits(which, subset[batch]), labels[which])
        except torch.OutOfMemoryError:  # the size is an estimate, and other programs may use the device
            if batch_size == 1:
                raise
            batch_size //= 2
            continue
        size = min(batch_size, len(subset) - start)  # without the repeated inputs
        out[start : start + size] = v[:size]
        start += size
    return out
