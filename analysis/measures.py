"""Per-sample measurements of a study and what they come to by chance: what tables and claims are made from."""

from collections.abc import Callable
from functools import cached_property
from typing import NamedTuple

import numpy as np

from analysis.chance import permuted
from analysis.decomposition import by_order, decompose
from analysis.jaccard import jaccard
from analysis.ratio import learned, terms
from analysis.study import Study


class Measured(NamedTuple):
    """Arrays [samples, ...] as observed, and the same under each permutation."""

    observed: tuple[np.ndarray, ...]
    by_chance: list[tuple[np.ndarray, ...]]


class Measures:
    """Computed when first wanted, once."""

    def __init__(self, study: Study) -> None:
        self.study = study

    @cached_property
    def strengths(self) -> Measured:
        """(pretrain, finetune, preserved, discarded, new), each [samples, orders]: mean strengths per order."""
        pretrain, finetune = self.study.final("pretrain"), self.study.final("finetune")
        return self._measured(self._strengths, pretrain, finetune)

    def _strengths(self, pretrain: np.ndarray, finetune: np.ndarray) -> tuple[np.ndarray, ...]:
        parts = (abs(pretrain), abs(finetune), *decompose(pretrain, finetune))
        return tuple(by_order(part, self.study.order) for part in parts)

    @cached_property
    def ratios(self) -> dict[str, Measured]:
        """For each definition (numerator, denominator), [samples] each; chance permutes scratch's interactions."""
        pretrain, finetune, scratch = (self.study.final(model) for model in ("pretrain", "finetune", "scratch"))
        chosen = self.study.subsets
        preserved = decompose(pretrain, finetune).preserved[:, chosen]
        pretrain = pretrain[:, chosen]

        def both(other: np.ndarray) -> dict[str, tuple[np.ndarray, np.ndarray]]:
            return terms(preserved, learned(preserved, pretrain, other[:, chosen]))

        observed = both(scratch)
        by_chance = [both(permuted(scratch, permutation)) for permutation in self.study.permutations]
        return {name: Measured(observed[name], [draw[name] for draw in by_chance]) for name in observed}

    @cached_property
    def similarities(self) -> dict[str, Measured]:
        """For fine-tuning and scratch: ([samples, epochs],), Jaccard similarity to the last epoch."""
        curves = {}
        for model in ("finetune", "scratch"):
            last = self.study.final(model)
            epochs = [
                self._measured(lambda final, then: (jaccard(then, final),), last, self.study.interactions(model, epoch))
                for epoch in self.study.epochs(model)
            ]
            observed = np.stack([epoch.observed[0] for epoch in epochs], axis=1)
            draws = range(len(self.study.permutations))
            by_chance = [(np.stack([epoch.by_chance[draw][0] for epoch in epochs], axis=1),) for draw in draws]
            curves[model] = Measured((observed,), by_chance)
        return curves

    def _measured(self, measure: Callable, first: np.ndarray, second: np.ndarray) -> Measured:
        chosen = self.study.subsets

        def of(other: np.ndarray) -> tuple[np.ndarray, ...]:
            return measure(first[:, chosen], other[:, chosen])

        return Measured(of(second), [of(permuted(second, permutation)) for permutation in self.study.permutations])
