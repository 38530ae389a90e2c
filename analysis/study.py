"""One run as the measures see it: interactions, read from the store with the options applied, and predictions."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np

from analysis.formulas.accuracy import Outcomes
from analysis.formulas.faithfulness import salient
from analysis.formulas.noise import explained, noise_of_values
from analysis.statistics.chance import permutations
from analysis.statistics.estimate import resamples
from interactions.mobius import interactions, orders
from interactions.store import Samples, Store


@dataclass(frozen=True)
class Options:
    """See conf/analysis/paper.yaml."""

    salient: bool
    tau: float
    empty_set: bool
    normalise: bool
    permutations: int
    resamples: int
    seed: int


class Noise(NamedTuple):
    """Of a model's values: root mean square, and the most that rounding explains."""

    size: float
    explained: float


@dataclass
class Study:
    """Models are "pretrain" (through its linear probe), "finetune" and "scratch", those of them that are compared. The
    last two have epochs.

    samples: whose interactions are measured; stores: of each model; compared: its epochs, in order; outcomes: on the
    test set, of the models that have predictions; labels: [test samples].
    """

    samples: Samples
    stores: dict[str, Store]
    compared: dict[str, list[int]]
    options: Options
    outcomes: dict[str, Outcomes] = field(default_factory=dict)
    labels: np.ndarray = field(default_factory=lambda: np.zeros(0, int))

    @cached_property
    def about(self) -> dict:
        """The samples, as samples.json describes them."""
        return self.samples.read()

    @property
    def n(self) -> int:
        return self.about["n"]

    @property
    def count(self) -> int:
        """Of the samples."""
        return len(self.about["samples"])

    @property
    def subsets(self) -> slice:
        """Of the 2**n subsets: all, or without the empty one."""
        return slice(0 if self.options.empty_set else 1, None)

    @property
    def order(self) -> np.ndarray:
        """Of each of these subsets."""
        return orders(self.n)[self.subsets]

    @property
    def unit(self) -> str:
        """Of the interactions."""
        return "share of E|v(x_N) - v(x_0)|" if self.options.normalise else "log-odds"

    @property
    def models(self) -> list[str]:
        return list(self.stores)

    def epochs(self, model: str) -> list[int]:
        return self.compared[model]

    def last(self, model: str) -> int:
        return self.epochs(model)[-1]

    def values(self, model: str, epoch: int) -> np.ndarray:
        """v: [samples, 2**n]."""
        return self.stores[model].values(epoch)

    def precision(self, model: str) -> str:
        """In which the values of its last epoch were computed."""
        return self.stores[model].precision(self.last(model))

    def noise(self, model: str) -> Noise:
        """Numerical noise of the values of its last epoch: some of them were computed in float64 as well."""
        epoch = self.last(model)
        v, checked = self.values(model, epoch), self.stores[model].noise(epoch)
        size = noise_of_values(v[checked["sample"], checked["subset"]], checked["value"])
        return Noise(size, explained(v, self.precision(model)))

    def interactions(self, model: str, epoch: int) -> np.ndarray:
        """I: [samples, 2**n], with the options `normalise` and `salient` applied."""
        return self.counted(interactions(self.values(model, epoch)))

    def counted(self, strength: np.ndarray) -> np.ndarray:
        """The same of given I, all of one model: [samples, 2**n] -> [samples, 2**n]."""
        if self.options.normalise:
            scale = abs(strength[:, 1:].sum(1)).mean()  # v(x_N) - v(x_0)
            strength = strength / scale if scale > 0 else strength
        if self.options.salient:
            strength = np.where(salient(strength, self.options.tau), strength, 0.0)
        return strength

    def final(self, model: str) -> np.ndarray:
        """I of the model's last epoch."""
        return self.interactions(model, self.last(model))

    def weights(self, samples: int) -> np.ndarray:
        """Bootstrap weights over so many samples, [resamples, samples]: the same for all measures on the same samples,
        so that differences between models stay paired."""
        return resamples(samples, self.options.resamples, self.options.seed)

    @cached_property
    def permutations(self) -> list[np.ndarray]:
        return permutations(self.count, self.n, self.options.permutations, self.options.seed)
