"""The interactions of one run as the measures see them: read from the store, with the options applied."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from analysis.formulas.faithfulness import salient
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


class Study:
    """Models are "pretrain" (through its linear probe), "finetune" and "scratch", those of them that are compared. The
    last two have epochs."""

    def __init__(
        self, samples: Samples, stores: dict[str, Store], epochs: dict[str, list[int]], options: Options
    ) -> None:
        """stores: of each model; epochs: those that are compared, in order."""
        self.stores, self.options = stores, options
        self.about, self._epochs = samples.read(), epochs
        about = self.about
        self.n, self.samples = about["n"], len(about["samples"])
        first = 0 if options.empty_set else 1
        self.subsets = slice(first, None)  # of the 2**n subsets: all, or without the empty one
        self.order = orders(self.n)[self.subsets]

    @property
    def unit(self) -> str:
        """Of the interactions."""
        return "share of E|v(x_N) - v(x_0)|" if self.options.normalise else "log-odds"

    @property
    def models(self) -> list[str]:
        return list(self.stores)

    def epochs(self, model: str) -> list[int]:
        return self._epochs[model]

    def last(self, model: str) -> int:
        return self.epochs(model)[-1]

    def values(self, model: str, epoch: int) -> np.ndarray:
        """v: [samples, 2**n]."""
        return self.stores[model].values(epoch)

    def precision(self, model: str) -> str:
        """In which the values of its last epoch were computed."""
        return self.stores[model].precision(self.last(model))

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

    @cached_property
    def weights(self) -> np.ndarray:
        """Bootstrap weights over the samples, the same for all measures: differences between models stay paired."""
        return resamples(self.samples, self.options.resamples, self.options.seed)

    @cached_property
    def permutations(self) -> list[np.ndarray]:
        return permutations(self.samples, self.n, self.options.permutations, self.options.seed)
