"""Defines a task: a training and a test set of (input, label), and the names of its classes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import Dataset, default_collate

from conf.arguments import check_arguments
from conf.errors import BadInput
from conf.nested import Described
from data.labels import relabelled


@dataclass(frozen=True)
class Splits:
    """A task. train, test: datasets of (input, label) with an attribute `labels` (int array [N]).

    training: the (augmented) form of `train` that training sees, if it differs; with `set_epoch` if it differs by
    epoch. kind: says what an input is, and so how it is cut into variables and drawn.

    "image": float tensors [C, H, W], where `pixel = input * std + mean` and pixels are in 0..1 (mean and std: one
    number, or one per channel).

    "text": int64 token ids [L], of any length; the datasets have `texts` and `words` (see `data.sentences.Sentences`).
    mask, pad: ids of these tokens.
    """

    train: Dataset
    test: Dataset
    classes: Sequence[str]
    training: Dataset | None = None
    kind: str = "image"
    mean: float | Sequence[float] = 0.5
    std: float | Sequence[float] = 0.5
    mask: int | None = None
    pad: int | None = None

    def collate(self, samples: list[tuple]) -> list:
        """Makes a batch: pads sentences to the longest of them, and stacks everything else."""
        if self.kind != "text":
            return default_collate(samples)
        inputs, *rest = zip(*samples, strict=True)
        padded = pad_sequence(inputs, batch_first=True, padding_value=self.pad)
        return [padded, *(torch.tensor(part) for part in rest)]

    def picture(self, image: torch.Tensor) -> np.ndarray:
        """Converts a network input [C, H, W] to a picture [H, W, 3] uint8."""
        mean, std = (torch.tensor(value).view(-1, 1, 1) for value in (self.mean, self.std))
        pixels = (image * std + mean).clamp(0, 1).mul(255).round().byte()
        return pixels.expand(3, -1, -1).permute(1, 2, 0).numpy()


class InMemory(Dataset):
    """Samples that are already tensors. inputs: [N, ...]; labels: [N]."""

    def __init__(self, inputs: torch.Tensor, labels: np.ndarray) -> None:
        self.inputs, self.labels = inputs, labels

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return self.inputs[index], int(self.labels[index])


def balanced_order(labels: np.ndarray, seed: int) -> np.ndarray:
    """Returns a random order in which the first k samples hold the classes as evenly as possible, for every k."""
    draw = np.random.default_rng(seed)
    order = draw.permutation(len(labels))
    rank = np.empty(len(labels), dtype=int)
    for label in np.unique(labels):
        mine = order[labels[order] == label]
        rank[mine] = np.arange(len(mine))
    return order[np.argsort(rank[order], kind="stable")]


def _by_path(error: BadInput, options: DictConfig, where: str) -> BadInput:
    """Adds the path to the name of an argument that a function refuses, as the user set it."""
    return BadInput(f"{where}.{error}") if str(error).partition("=")[0] in options else error


def task(cfg: DictConfig, name: str) -> Splits:
    """Builds the source or the target task of the configuration; the target with the labels of `data.labels`. Raises
    BadInput if it can't be built."""
    splits = build(cfg.data[name], f"data.{name}")
    return relabelled(splits, **cfg.data.labels, seed=cfg.seeds.data) if name == "target" else splits


def build(options: DictConfig, where: str) -> Splits:
    """Builds the task that `options` describe (a `_target_` and its arguments) with its own labels; `where` names it in
    messages.

    Raises BadInput if it can't be built, has labels that are no classes, or a class has no sample in the training or
    test set.
    """
    Described("conf/data/digits.yaml").check(where, options)
    check_arguments(where, OmegaConf.to_container(options, resolve=True))
    try:
        splits = instantiate(options)
    except InstantiationException as error:
        if isinstance(error.__cause__, BadInput):
            raise _by_path(error.__cause__, options, where) from None
        reason = " ".join(str(error.__cause__ or error).split())  # in one line
        raise BadInput(f"{where} can't be built: {reason}") from error
    if len(splits.classes) < 2:
        raise BadInput(f"{where} has {len(splits.classes)} class: a classifier needs two or more")
    for split in ("train", "test"):
        labels = np.asarray(getattr(splits, split).labels)
        if len(unknown := labels[(labels < 0) | (labels >= len(splits.classes))]):
            raise BadInput(
                f"{where}: the {split} set has a label {unknown[0]}, and the {len(splits.classes)} classes have the "
                f"numbers from 0 to {len(splits.classes) - 1}"
            )
        counts = np.bincount(labels, minlength=len(splits.classes))
        if (counts == 0).any():
            empty = ", ".join(name for name, count in zip(splits.classes, counts, strict=True) if count == 0)
            raise BadInput(
                f"{where}: the {split} set of {len(labels)} has no sample of class {empty}; take more samples"
            )
    return splits
