"""Per-sample measurements of a study and what they come to by chance: what tables and claims are made from."""

from collections.abc import Callable, Iterable
from functools import cached_property
from typing import NamedTuple

import numpy as np

from analysis.formulas.decomposition import by_order, decompose
from analysis.formulas.faithfulness import faithfulness
from analysis.formulas.jaccard import jaccard
from analysis.formulas.ratio import learned, terms
from analysis.statistics.chance import by_chance
from analysis.study import Study

# The models without which there is nothing to measure. The similarity of epochs is of those with epochs, all else of
# whichever there are.
NEEDED = {"decomposition": {"pretrain", "finetune"}, "ratio": {"pretrain", "finetune", "scratch"}}
WITH_EPOCHS = ("finetune", "scratch")


def possible(measure: str, models: list[str]) -> bool:
    """Whether these models are enough to measure it."""
    if measure == "jaccard":
        return not set(WITH_EPOCHS).isdisjoint(models)
    return NEEDED.get(measure, set()) <= set(models)


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

        observed, draws = both(scratch), by_chance(both, scratch, self.study.permutations)
        return {name: Measured(observed[name], [draw[name] for draw in draws]) for name in observed}

    @cached_property
    def similarities(self) -> dict[str, Measured]:
        """For fine-tuning and scratch: ([samples, epochs],), Jaccard similarity to the last epoch."""
        curves = {}
        for model in [model for model in WITH_EPOCHS if model in self.study.models]:
            last = self.study.final(model)
            epochs = [
                self._measured(lambda final, then: (jaccard(then, final),), last, self.study.interactions(model, epoch))
                for epoch in self.study.epochs(model)
            ]
            curves[model] = _over_epochs(epochs)
        return curves

    @cached_property
    def faithfulness(self) -> dict[str, Measured]:
        """For each model (salient share, R^2), each [samples, epochs]; of all interactions, whatever the options.

        Chance permutes the values of masked inputs that keep equally many variables.
        """
        study = self.study

        def of(v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            return faithfulness(v, study.options.tau)

        curves = {}
        for model in study.models:
            stored = (study.values(model, epoch) for epoch in study.epochs(model))
            curves[model] = _over_epochs([Measured(of(v), by_chance(of, v, study.permutations)) for v in stored])
        return curves

    def _measured(self, measure: Callable, first: np.ndarray, second: np.ndarray) -> Measured:
        chosen = self.study.subsets

        def of(other: np.ndarray) -> tuple[np.ndarray, ...]:
            return measure(first[:, chosen], other[:, chosen])

        return Measured(of(second), by_chance(of, second, self.study.permutations))


def _over_epochs(measured: list[Measured]) -> Measured:
    """Arrays [samples] of each epoch as arrays [samples, epochs]."""

    def stacked(epochs: Iterable[tuple[np.ndarray, ...]]) -> tuple[np.ndarray, ...]:
        return tuple(np.stack(arrays, axis=1) for arrays in zip(*epochs, strict=True))

    draws = zip(*(epoch.by_chance for epoch in measured), strict=True)
    return Measured(stacked(epoch.observed for epoch in measured), [stacked(draw) for draw in draws])
