"""The samples whose interactions are measured: the same for all models, balanced over the classes."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from omegaconf import DictConfig

from conf.check import BadInput
from data.splits import Splits
from interactions import patches, words
from interactions.masking import membership


@dataclass(frozen=True)
class Group:
    """Samples whose inputs have one shape, so that their masked inputs can share a batch.

    first: the number of the first one among all samples; inputs: [G, ...]; labels: [G];
    owner: [G, ...], or what broadcasts to it: the variable that each entry belongs to, -1 for the background, -2 for
    what is never masked.
    """

    first: int
    inputs: torch.Tensor
    owner: torch.Tensor
    labels: torch.Tensor

    @cached_property
    def member(self) -> torch.Tensor:
        """Of `masking.membership`, on the device."""
        return membership(self.owner)


def choose(labels: np.ndarray, classes: int, count: int, seed: int) -> list[int]:
    """Indices of `count` samples, each class as often as the others (the remainder goes to classes drawn at random).

    labels: [N]; what is -1 is not chosen.
    """
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
    about = {"split": options.split, "n": options.n, "kind": splits.kind}
    if splits.kind == "text":
        return about | _sentences(dataset, labels, splits, options, seed)
    samples = []
    for index in choose(labels, len(splits.classes), options.samples, seed):
        height, width = dataset[index][0].shape[-2:]
        boxes = patches.draw_patches(options.n, options.grid, options.margin, height, width, seed, index)
        samples.append({**_sample(index, labels, splits), "variables": boxes})
    return about | {"samples": samples}


def _sentences(dataset: object, labels: np.ndarray, splits: Splits, options: DictConfig, seed: int) -> dict:
    """In the order of their lengths, so that those of one length stand together."""
    stop = words.stop_words(options.stop_words)
    drawn = [words.variables(dataset.words(i), options.n, stop, seed, i) for i in range(len(labels))]
    usable = np.array([variables is not None for variables in drawn])
    if not usable.any():
        raise BadInput(
            f"interactions.n={options.n}: no {options.split} sentence has as many words that count; choose a smaller n "
            f"or other interactions.stop_words"
        )
    chosen = choose(np.where(usable, labels, -1), len(splits.classes), options.samples, seed)
    samples = [
        {**_sample(index, labels, splits), "words": [word.text for word in dataset.words(index)],
         "variables": drawn[index]}
        for index in sorted(chosen, key=lambda index: len(dataset[index][0]))
    ]  # fmt: skip
    return {"sentences": len(labels), "too_short": int((~usable).sum()), "samples": samples}


def _sample(index: int, labels: np.ndarray, splits: Splits) -> dict:
    label = int(labels[index])
    return {"index": index, "label": label, "class": splits.classes[label]}


def load(splits: Splits, about: dict) -> list[Group]:
    """The inputs that samples.json describes, in its order."""
    dataset, groups = getattr(splits, about["split"]), []
    inputs = [dataset[sample["index"]][0] for sample in about["samples"]]
    starts = [i for i, x in enumerate(inputs) if i == 0 or x.shape != inputs[i - 1].shape]
    for first, end in zip(starts, [*starts[1:], len(inputs)], strict=True):
        samples = about["samples"][first:end]
        owner = torch.stack([_owner(splits, dataset, sample, inputs[first].shape) for sample in samples])
        labels = torch.tensor([sample["label"] for sample in samples])
        groups.append(Group(first, torch.stack(inputs[first:end]), owner, labels))
    return groups


def _owner(splits: Splits, dataset: object, sample: dict, shape: torch.Size) -> torch.Tensor:
    if splits.kind == "text":
        return words.owner(sample["variables"], dataset.words(sample["index"]), shape[0])
    return patches.owner_map(sample["variables"], *shape[-2:])


def baseline(splits: Splits, kind: str, num_workers: int = 0) -> torch.Tensor:
    """What a masked variable is replaced by: the mask token's id [], or `patches.baseline` [C, H, W]."""
    if splits.kind == "text":
        return torch.tensor(splits.mask)
    return patches.baseline(splits.train, kind, num_workers)
