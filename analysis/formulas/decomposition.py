"""Strengths per order: what fine-tuning preserves, discards and newly learns (Fig. 2 of arXiv 2410.08455)."""

import numpy as np


def by_order(strength: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Returns means over the subsets of each order: [..., subsets] -> [..., orders]. order: [subsets], |S|."""
    return np.stack([strength[..., order == size].mean(-1) for size in np.unique(order)], axis=-1)
