"""Accuracy and loss on the test set, epoch by epoch (the paper's footnote 5)."""

from typing import NamedTuple

import numpy as np


class Outcomes(NamedTuple):
    """The outcomes on the test set. correct, losses: [test samples, epochs + 1] float."""

    correct: np.ndarray
    losses: np.ndarray


def outcomes(predictions: np.ndarray, losses: np.ndarray, labels: np.ndarray) -> Outcomes:
    """Returns the outcomes of a training. predictions, losses: [epochs + 1, test samples]; labels: [test samples]."""
    return Outcomes((predictions == labels).T.astype(np.float64), losses.T.astype(np.float64))


def chance(labels: np.ndarray) -> dict[str, float]:
    """Returns the levels of a classifier that knows only how frequent the classes are, and nothing of the input."""
    shares = np.bincount(labels) / len(labels)
    present = shares[shares > 0]
    return {"accuracy": float(present.max()), "loss": float(-(present * np.log(present)).sum())}


def epochs_to_reach(curve: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Returns the first epoch at which a curve [..., epochs + 1] is at least `target` [...], or epochs + 1."""
    reached = curve >= target[..., None]
    return np.where(reached.any(-1), reached.argmax(-1), curve.shape[-1])
