"""Accuracy and loss on the test set, epoch by epoch (the paper's footnote 5)."""

from pathlib import Path
from typing import NamedTuple

import numpy as np


class Outcomes(NamedTuple):
    """correct, losses: [test samples, epochs + 1] float."""

    correct: np.ndarray
    losses: np.ndarray


def outcomes(stage_folder: Path, labels: np.ndarray) -> Outcomes:
    """What a training stage left of each test sample after each epoch. labels: [test samples]."""
    predictions = np.load(stage_folder / "predictions.npy")
    losses = np.load(stage_folder / "losses.npy").astype(np.float64)
    return Outcomes((predictions == labels).T.astype(np.float64), losses.T)


def chance(labels: np.ndarray) -> dict[str, float]:
    """Of a classifier that knows how frequent the classes are, and nothing of the input."""
    shares = np.bincount(labels) / len(labels)
    present = shares[shares > 0]
    return {"accuracy": float(present.max()), "loss": float(-(present * np.log(present)).sum())}


def epochs_to_reach(curve: np.ndarray, target: np.ndarray) -> np.ndarray:
    """First epoch at which a curve [..., epochs + 1] is at least `target` [...]; epochs + 1 if it never is."""
    reached = curve >= target[..., None]
    return np.where(reached.any(-1), reached.argmax(-1), curve.shape[-1])
