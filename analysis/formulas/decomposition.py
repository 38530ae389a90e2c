"""What fine-tuning preserves, discards and newly learns (Eqs. 6 and 7 of arXiv 2410.08455)."""

from typing import NamedTuple

import numpy as np


class Decomposition(NamedTuple):
    """The strengths [..., 2**n]: preserved + discarded = |I_pretrain|, preserved + new = |I_finetune|."""

    preserved: np.ndarray
    discarded: np.ndarray
    new: np.ndarray


def decompose(pretrain: np.ndarray, finetune: np.ndarray) -> Decomposition:
    """Decomposes the interactions of the pre-trained and the fine-tuned model, [..., 2**n] each."""
    same_effect = pretrain * finetune > 0
    preserved = np.where(same_effect, np.minimum(abs(pretrain), abs(finetune)), 0.0)
    return Decomposition(preserved, abs(pretrain) - preserved, abs(finetune) - preserved)


def by_order(strength: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Returns means over the subsets of each order: [..., subsets] -> [..., orders]. order: [subsets], |S|."""
    return np.stack([strength[..., order == size].mean(-1) for size in np.unique(order)], axis=-1)
