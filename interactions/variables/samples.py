"""Chooses the samples whose interactions are measured: the same for all models, balanced over the classes."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from omegaconf import DictConfig

from conf.errors import BadInput
from data.splits import Splits
from interactions.variables import patches, words
from interactions.variables.masking import membership


@dataclass(frozen=True)
class Group:
    """Samples whose inputs have one shape, so that their masked inputs can share a batch.

    first: the number of the first one among all samples; inputs: [G, ...]; labels: [G]; owner: [G, ...], or a shape
    that broadcasts to it: the variable that each entry belongs to, -1 for the background, -2 for what is never masked.
    """

    first: int
    inputs: torch.Tensor
    owner: torch.Tensor
    labels: torch.Tensor

    @cached_property
    def member(self) -> torch.Tensor:
        """The `masking.membership` of the owners, on the device."""
        return membership(self.owner)


def choose(
    labels: np.ndarray, classes: Sequence[str], options: DictConfig, seed: int, usable: np.ndarray | None = None
) -> list[int]:
    """Returns indices of `options.samples` samples, with equally many per class (the remainder goes to random classes).

    labels: [N]; usable: [N] bool, the sentences that have n words that count; None: images. Raises BadInput if a class
    has too few.
    """
    draw, count = np.random.default_rng(seed), len(classes)
    wanted = np.full(count, options.samples // count)
    wanted[draw.permutation(count)[: options.samples % count]] += 1
    chosen = []
    for label, name in enumerate(classes):
        of_class = labels == label
        mine = draw.permutation(np.flatnonzero(of_class if usable is None else of_class & usable))
        if len(mine) < wanted[label]:
            short = None if usable is None else int((of_class & ~usable).sum())
            raise BadInput(_too_few(options, name, wanted[label], len(mine), short))
        chosen.extend(int(index) for index in mine[: wanted[label]])
    return chosen


def _too_few(options: DictConfig, name: str, wanted: int, there: int, short: int | None) -> str:
    """Returns the error message. short: how many sentences of the class have fewer than n words that count; None:
    images."""
    needs = (
        f"interactions.samples={options.samples} needs {wanted} {{}} of class {name}, and the {options.split} set has"
    )
    if short is None:
        return f"{needs.format('images')} {there}: choose fewer samples, or another interactions.split"
    return (
        f"{needs.format('sentences')} {there} with at least n={options.n} words that count, and {short} with fewer: "
        f"choose fewer samples, a smaller interactions.n or another interactions.split"
    )


def describe(splits: Splits, options: DictConfig, seed: int) -> dict:
    """Returns the content of samples.json: which samples, with which variables; shared_variables, if all have the same.

    Raises BadInput if there are too few.
    """
    dataset = getattr(splits, options.split)
    labels = np.asarray(dataset.labels)
    about = {"split": options.split, "n": options.n, "kind": splits.kind}
    if splits.kind == "text":
        return about | _sentences(dataset, labels, splits, options, seed)
    shared, samples = options.shared_variables, []
    for index in choose(labels, splits.classes, options, seed):
        height, width = dataset[index][0].shape[-2:]
        drawn = 0 if shared else index
        boxes = patches.draw_patches(options.n, options.grid, options.margin, height, width, seed, drawn)
        samples.append({**_sample(index, labels, splits), "variables": boxes})
    return about | ({"shared_variables": True} if shared else {}) | {"samples": samples}


def _sentences(dataset: object, labels: np.ndarray, splits: Splits, options: DictConfig, seed: int) -> dict:
    """Returns the sentences sorted by length, so that sentences of one length are neighbours.

    stop_share: the share of stop words among the words of all sentences.
    """
    if options.shared_variables:
        raise BadInput(
            "interactions.shared_variables=true is not allowed for text, where each sentence has its own words: false "
            "is expected"
        )
    stop, drawn, listed = words.stop_words(options.stop_words), [], []
    for index in range(len(labels)):
        sentence = dataset.words(index)
        drawn.append(words.variables(sentence, options.n, stop, seed, index))
        listed += words.are_stop_words(sentence, stop)
    usable = np.array([variables is not None for variables in drawn])
    if not usable.any():
        raise BadInput(
            f"interactions.n={options.n}: no {options.split} sentence has that many words that count; choose a smaller "
            f"n or other interactions.stop_words"
        )
    chosen = choose(labels, splits.classes, options, seed, usable)
    samples = [
        {**_sample(index, labels, splits), "words": [word.text for word in dataset.words(index)],
         "variables": drawn[index]}
        for index in sorted(chosen, key=lambda index: len(dataset[index][0]))
    ]  # fmt: skip
    share = round(float(np.mean(listed)), 4)
    return {"sentences": len(labels), "too_short": int((~usable).sum()), "stop_share": share, "samples": samples}


def _sample(index: int, labels: np.ndarray, splits: Splits) -> dict:
    label = int(labels[index])
    return {"index": index, "label": label, "class": splits.classes[label]}


def load(splits: Splits, about: dict) -> list[Group]:
    """Returns the inputs that samples.json describes, in its order."""
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
    """Returns what a masked variable is replaced by: the mask token's id [], or `patches.baseline` [C, H, W]."""
    if splits.kind == "text":
        return torch.tensor(splits.mask)
    return patches.baseline(splits.train, kind, num_workers)
