"""Penultimate features of a frozen classifier, computed once and kept.

<folder>/features_train.npy, features_test.npy   float32 [N, D], in the order of the data
"""

from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader

from models.backbone import Classifier
from models.device import exact_float32
from stages.files import write_array
from stages.progress import Bar


def features(model: Classifier, batches: DataLoader, folder: Path, split: str, device: torch.device) -> torch.Tensor:
    """[N, D] float32. The model is in evaluation mode: batch-norm uses its running statistics."""
    file = folder / f"features_{split}.npy"
    if not file.exists():
        computed = _compute(model, batches, f"features of the {split} set", device)
        write_array(file, computed.numpy())
    return torch.from_numpy(np.load(file))


@torch.inference_mode()
def _compute(model: Classifier, batches: DataLoader, what: str, device: torch.device) -> torch.Tensor:
    model.eval().to(device)
    batches = Bar(batches, desc=what, unit="batch", mininterval=0.5)
    with exact_float32():
        return torch.cat([model.features(inputs.to(device)).float().cpu() for inputs, _ in batches])
