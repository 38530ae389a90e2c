"""Computes the penultimate features of a frozen classifier once, and keeps them on disk.

<folder>/features_train.npz, features_test.npz   "features": float32 [N, D], in the order of the data

Each archive contains its own checksum, as features are stored next to a result and are not part of it.
"""

from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader

from models.backbone import Classifier
from models.device import exact_float32
from stages.files import write_archive
from stages.progress import Bar
from stages.reading import parsed


def features(model: Classifier, batches: DataLoader, folder: Path, split: str, device: torch.device) -> torch.Tensor:
    """Returns [N, D] float32. The model runs in evaluation mode: batch-norm uses its running statistics."""
    file = folder / f"features_{split}.npz"
    if not file.exists():
        computed = _compute(model, batches, f"features of the {split} set", device)
        write_archive(file, features=computed.numpy())
    return torch.from_numpy(parsed(file, lambda content: np.load(content)["features"]))


@torch.inference_mode()
def _compute(model: Classifier, batches: DataLoader, what: str, device: torch.device) -> torch.Tensor:
    model.eval().to(device)
    batches = Bar(batches, desc=what, unit="batch", mininterval=0.5)
    with exact_float32():
        return torch.cat([model.features(inputs.to(device)).float().cpu() for inputs, _ in batches])
