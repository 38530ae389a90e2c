"""Are a few interactions enough? Sparsity and universal matching (Theorem 3.1 of arXiv 2410.08455)."""

import numpy as np

from interactions.mobius import interactions, values


def salient(interactions: np.ndarray, tau: float = 0.05) -> np.ndarray:
    """Tells where |I(S)| > tau max_S |I(S)|, per sample: [..., 2**n] -> bool [..., 2**n]."""
    strength = abs(interactions)
    return strength > tau * strength.max(-1, keepdims=True)


def rebuilt(interactions: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Returns R^2 of all 2**n values v against the sums of these interactions (the salient ones, 0 for all others):
    [..., 2**n] twice -> [...].

    1 is perfect, 0 is as good as the mean of v, and the result may be negative. A constant v that is rebuilt counts
    as 1.
    """
    error, spread = (np.vecdot(of, of) for of in (v - values(interactions), v - v.mean(-1, keepdims=True)))
    return 1 - np.divide(error, spread, out=(error > 0).astype(float), where=spread > 0)


def faithfulness(v: np.ndarray, tau: float = 0.05) -> tuple[np.ndarray, np.ndarray]:
    """Returns the share of the 2**n interactions that are salient, and R^2 of v rebuilt from them: [..., 2**n] ->
    [...], [...]."""
    strength = interactions(v)
    kept = salient(strength, tau)
    return kept.mean(-1), rebuilt(np.where(kept, strength, 0.0), v)
