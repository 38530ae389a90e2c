"""How much of the preserved knowledge training from scratch learns (Eq. 8 of arXiv 2410.08455)."""

import numpy as np


def learned(preserved: np.ndarray, pretrain: np.ndarray, scratch: np.ndarray) -> np.ndarray:
    """Returns [I_pre I_scr > 0] min(|I_scr|, P), all [..., 2**n]: the preserved strength P that scratch shares."""
    return np.where(pretrain * scratch > 0, np.minimum(abs(scratch), preserved), 0.0)


def terms(preserved: np.ndarray, shared: np.ndarray) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Returns for each definition the numerator and denominator per sample [...]: the ratio is mean over mean.

    paper: mean of learned/P over all S, 0 where P = 0; positive: over the S with P > 0 only;
    weighted: sum of learned over sum of P.
    """
    positive = preserved > 0
    each = np.divide(shared, preserved, out=np.zeros_like(shared), where=positive)
    return {
        "paper": (each.mean(-1), np.ones(each.shape[:-1])),
        "positive": (each.sum(-1), positive.sum(-1).astype(float)),
        "weighted": (shared.sum(-1), preserved.sum(-1)),
    }
