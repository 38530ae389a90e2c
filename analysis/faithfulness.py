"""Are a few interactions enough? Sparsity and universal matching (Theorem 3.1 of arXiv 2410.08455)."""

import numpy as np

from interactions.mobius import values


def salient(interactions: np.ndarray, tau: float = 0.05) -> np.ndarray:
    """|I(S)| > tau max_S |I(S)|, per sample: [..., 2**n] -> bool [..., 2**n]."""
    strength = abs(interactions)
    return strength > tau * strength.max(-1, keepdims=True)


def salient_share(interactions: np.ndarray, tau: float = 0.05) -> np.ndarray:
    """Share of the 2**n interactions that are salient: [..., 2**n] -> [...]."""
    return salient(interactions, tau).mean(-1)


def rebuilt(interactions: np.ndarray, v: np.ndarray, tau: float = 0.05) -> np.ndarray:
    """R^2 of all 2**n values v against those that the salient interactions alone sum up to: [..., 2**n] -> [...].

    1 is perfect, 0 as good as the mean of v; may be negative. A constant v that is rebuilt counts as 1.
    """
    estimate = values(np.where(salient(interactions, tau), interactions, 0.0))
    error = np.square(v - estimate).sum(-1)
    spread = np.square(v - v.mean(-1, keepdims=True)).sum(-1)
    return 1 - np.divide(error, spread, out=(error > 0).astype(float), where=spread > 0)
