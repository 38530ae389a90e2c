"""The samples whose interactions are measured: the same for all models, balanced over the classes."""

import numpy as np
import torch
from omegaconf import DictConfig
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from conf.check import BadInput
from data.splits import Splits
from interactions.variables import draw_patches, owner_map


def choose(labels: np.ndarray, classes: int, count: int, seed: int) -> list[int]:
    """Indices of `count` samples, each class as often as the others (the remainder goes to classes drawn at random)."""
    draw = np.random.default_rng(seed)
    wanted = np.full(classes, count // classes)
    wanted[draw.permutation(classes)[: count % classes]] += 1
    chosen = []
    for label in range(classes):
        mine = draw.permutation(np.flatnonzero(labels == label))
        if len(mine) < wanted[label]:
            raise BadInput(
                f"interactions.samples={count} wants {wanted[label]} of class {label}, and there are {len(mine)}: "
                f"choose fewer, or another interactions.split"
            )
        chosen.extend(int(index) for index in mine[: wanted[label]])
    return chosen


def describe(splits: Splits, options: DictConfig, seed: int) -> dict:
    """The content of samples.json: which samples, with which variables. Raises BadInput if there are too few."""
    dataset = getattr(splits, options.split)
    labels = np.asarray(dataset.labels)
    samples = []
    for index in choose(labels, len(splits.classes), options.samples, seed):
        height, width = dataset[index][0].shape[-2:]
        boxes = draw_patches(options.n, options.grid, options.margin, height, width, seed, index)
        label = int(labels[index])
        samples.append({"index": index, "label": label, "class": splits.classes[label], "variables": boxes})
    return {"split": options.split, "n": options.n, "kind": splits.kind, "samples": samples}


def load(dataset: Dataset, samples: list[dict]) -> tuple[torch.Tensor, torch.Tensor]:
    """The samples' inputs [S, C, H, W] and their owner maps [S, 1, H, W]: the variable each pixel belongs to, or -1."""
    inputs = torch.stack([dataset[sample["index"]][0] for sample in samples])
    owners = torch.stack([owner_map(sample["variables"], *inputs.shape[-2:]) for sample in samples])
    return inputs, owners


def baseline(train: Dataset, kind: str) -> torch.Tensor:
    """What a masked variable is replaced by, [C, H, W], in the network's own scale (pixels minus mean, over std).

    mean_image: each pixel's mean over the training set (footnote 1 of the paper); channel_mean: its mean over the
    pixels; zero: the network's zero, the middle of the grey scale.
    """
    total, count = 0.0, 0
    if kind == "zero":
        return torch.zeros_like(train[0][0])
    for inputs, _ in tqdm(DataLoader(train, 256), desc="mean image", unit="batch", dynamic_ncols=True, leave=False):
        total, count = total + inputs.double().sum(0), count + len(inputs)
    mean = total / count
    if kind == "channel_mean":
        mean = mean.mean((1, 2), keepdim=True).expand_as(mean)
    return mean.float()
