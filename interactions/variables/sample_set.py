"""The inputs that every checkpoint is evaluated on: the chosen samples with their variables, and what masks them."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch

from data.splits import Splits
from interactions.variables.samples import Group, load


@dataclass(frozen=True)
class SampleSet:
    """Samples in groups of one shape, and the baseline [...], all on the device. n: the number of variables of each
    sample."""

    groups: list[Group]
    baseline: torch.Tensor
    n: int

    @classmethod
    def read(
        cls, about: dict, baseline: np.ndarray, splits: Splits, background: str, where: torch.device
    ) -> "SampleSet":
        """about: the content of samples.json; background: keep | mask, for entries that belong to no variable."""
        base = torch.from_numpy(baseline)
        groups = []
        for group in load(splits, about):
            inputs = group.inputs
            if background == "mask":
                inputs = torch.where(group.owner == -1, base, inputs)
            if inputs.dim() == 4:  # [B, C, H, W]: convolutions are up to twice as fast with the channels last
                inputs = inputs.contiguous(memory_format=torch.channels_last)
            groups.append(Group(group.first, inputs.to(where), group.owner.to(where), group.labels.to(where)))
        return cls(groups, base.to(where), about["n"])

    @property
    def samples(self) -> int:
        return sum(len(group.labels) for group in self.groups)

    @property
    def device(self) -> torch.device:
        return self.baseline.device

    def blocks(self, count: int) -> list[range]:
        """Splits all samples, in order, into blocks of at most `count` samples that have one shape."""
        return [
            range(group.first + start, group.first + min(start + count, len(group.labels)))
            for group in self.groups
            for start in range(0, len(group.labels), count)
        ]

    def group_of(self, sample: int) -> Group:
        return next(group for group in self.groups if group.first <= sample < group.first + len(group.labels))

    def by_group(self, sample: np.ndarray) -> Iterable[tuple[Group, np.ndarray]]:
        """Yields each group that has samples in `sample` [K], with the places in `sample` where they are."""
        for group in self.groups:
            mine = np.flatnonzero((sample >= group.first) & (sample < group.first + len(group.labels)))
            if len(mine):
                yield group, mine
