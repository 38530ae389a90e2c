"""Makes masked inputs on the device, for a whole batch at once.

Inputs may be of any kind: `owner` has the input's shape, or one that broadcasts to it, and holds the variable that each
entry belongs to (-1: none).
"""

import torch


def membership(owner: torch.Tensor) -> torch.Tensor:
    """Returns the bit of the variable that an entry belongs to, 2**owner; 0 if it belongs to none. int32, shape of
    `owner`."""
    return torch.where(owner < 0, 0, 2 ** owner.clamp(min=0)).int()


def masked(inputs: torch.Tensor, baseline: torch.Tensor, member: torch.Tensor, subset: torch.Tensor) -> torch.Tensor:
    """Returns x_T: it keeps the variables in T and what is not a variable, and takes all else from the baseline.

    inputs: [B, ...]; baseline: [...]; member: [B, ...], from `membership`; subset: [B] int64, T as a bitmask.
    """
    subset = subset.to(member.dtype).view(-1, *[1] * (member.dim() - 1))
    keep = (member & ~subset) == 0
    return torch.where(keep, inputs, baseline)
