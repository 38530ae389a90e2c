"""Computes what a frozen model's layers give for a set of inputs, once, and keeps it on disk.

<folder>/features_train.npz, features_test.npz   "features": float32 [N, D], in the order of the data; the input of the
                                                 classifier (`penultimate`)
<folder>/<layer>_train.npz, <layer>_test.npz     the same of another layer (models/layers.py)

Each archive contains its own checksum, as features are also kept next to a result whose part they are not: those of
pre-trained weights in the folder `features` of the pre-training, where a probe and the representations both find them.
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader

from conf.errors import BadInput
from models.device import exact_float32
from models.evaluated import Evaluated
from models.layers import PENULTIMATE, Watched
from stages.files import write_archive
from stages.identity import Result
from stages.progress import Bar
from stages.reading import parsed
from stages.results import hashes


def folder_of(result: Result, pretrain: Result, weights: Path) -> Path:
    """Returns the folder of features of pre-trained weights, next to these. Its name depends on weights and data, so
    that all results that need them share it. result: one of these, whose settings say which the target task is."""
    target = {path: value for path, value in result.settings.items() if path.startswith("data.target.")}
    sha256 = hashes(pretrain.folder).get(str(weights.relative_to(pretrain.folder)), weights.name)
    text = json.dumps([target, sha256], sort_keys=True)
    return pretrain.folder / "features" / hashlib.sha256(text.encode()).hexdigest()[:8]


def file_of(folder: Path, layer: str, split: str) -> Path:
    return folder / f"{'features' if layer == PENULTIMATE else layer}_{split}.npz"


def read(folder: Path, layer: str, split: str) -> np.ndarray:
    """Returns [N, D] float32."""
    return parsed(file_of(folder, layer, split), lambda content: np.load(content)["features"])


def features(model: nn.Module, batches: DataLoader, folder: Path, split: str, device: torch.device) -> torch.Tensor:
    """Returns the penultimate features [N, D] float32."""
    compute(model, batches, folder, split, device)
    return torch.from_numpy(read(folder, PENULTIMATE, split))


def compute(
    model: nn.Module, batches: DataLoader, folder: Path, split: str, device: torch.device,
    layers: Sequence[str] = (PENULTIMATE,), pool: str = "mean",
) -> None:  # fmt: skip
    """Writes the features of these layers that are not in `folder` yet, all from one pass. The model runs in evaluation
    mode: batch-norm uses its running statistics. Raises BadInput if features hold NaN or infinity.

    The pass is the same whatever is missing, so that a layer's features are too, to the last bit.
    """
    missing = [layer for layer in layers if not file_of(folder, layer, split).exists()]
    if not missing:
        return
    for layer, found in _computed(model, batches, split, device, layers, missing, pool).items():
        if not torch.isfinite(found).all():
            raise BadInput(
                f"the features of the {split} set hold NaN or infinity (layer {layer}), of input "
                f"{int((~torch.isfinite(found)).any(1).nonzero()[0])} first: nothing can be computed from them; check "
                f"the weights and the inputs"
            )
        write_archive(file_of(folder, layer, split), features=found.numpy())


@torch.inference_mode()
def _computed(
    model: nn.Module, batches: DataLoader, split: str, device: torch.device,
    layers: Sequence[str], missing: Sequence[str], pool: str,
) -> dict[str, torch.Tensor]:  # fmt: skip
    model.eval().to(device)
    title, parts = f"features of the {split} set", {layer: [] for layer in missing}
    with exact_float32(), Watched(model, layers, pool) as watched:
        evaluated = Evaluated(watched, len(batches.dataset))
        for inputs, _ in Bar(batches, desc=title, unit="batch", mininterval=0.5):
            found = dict(zip(layers, evaluated(inputs.to(device)), strict=True))
            for layer in missing:
                parts[layer].append(found[layer].float().cpu())
    if said := evaluated.about():
        print(f"{title}: {said}", flush=True)
    return {layer: torch.cat(of_layer) for layer, of_layer in parts.items()}
