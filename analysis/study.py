"""The interactions of one run as the measures see them: read from the store, with the options applied."""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from analysis.chance import permutations
from analysis.estimate import resamples
from analysis.faithfulness import salient
from conf.errors import BadInput
from interactions.mobius import interactions, orders
from interactions.store import Store

FOLDERS = {"pretrain": "probe", "finetune": "finetune", "scratch": "scratch"}  # whose values stand for which model


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
    """Models are "pretrain" (through its linear probe), "finetune" and "scratch", those of them that the store has. The
    last two have epochs."""

    def __init__(self, folder: Path, options: Options) -> None:
        self.store, self.options = Store(folder), options
        about = self.store.samples()
        self.n, self.samples = about["n"], len(about["samples"])
        first = 0 if options.empty_set else 1
        self.subsets = slice(first, None)  # of the 2**n subsets: all, or without the empty one
        self.order = orders(self.n)[self.subsets]

    @property
    def unit(self) -> str:
        """Of the interactions."""
        return "share of E|v(x_N) - v(x_0)|" if self.options.normalise else "log-odds"

    @cached_property
    def models(self) -> list[str]:
        """Those that the store has values of."""
        return [model for model, folder in FOLDERS.items() if self.store.epochs(folder)]

    def epochs(self, model: str) -> list[int]:
        return self.store.epochs(FOLDERS[model])

    def last(self, model: str) -> int:
        return self.epochs(model)[-1]

    def values(self, model: str, epoch: int) -> np.ndarray:
        """v: [samples, 2**n]."""
        return self.store.values(FOLDERS[model], epoch)

    def precision(self, model: str) -> str:
        """In which the values of its last epoch were computed."""
        unit = self.store.unit(FOLDERS[model], self.last(model))
        try:
            return json.loads((unit / "meta.json").read_text())["precision"]
        except (OSError, ValueError, KeyError) as error:
            raise BadInput(
                f"{unit / 'meta.json'} can't be used ({error}): delete {unit} and run stages=[interactions] again"
            ) from error

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
