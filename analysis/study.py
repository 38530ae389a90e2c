"""One run as the measures see it: its predictions, its models' features, and its stored interactions with the options
applied."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import NamedTuple, Self

import numpy as np

from analysis.formulas.accuracy import Outcomes
from analysis.formulas.faithfulness import salient
from analysis.formulas.noise import explained, noise_of_values
from analysis.statistics.shuffled import permutations
from interactions.mobius import interactions, orders
from interactions.store import Samples, Store
from representations.kept import Representation, Similarity


@dataclass(frozen=True)
class Options:
    """The options of the analysis, explained in conf/analysis/paper.yaml."""

    salient: bool
    tau: float
    empty_set: bool
    normalise: bool
    permutations: int
    resamples: int
    seed: int
    equal: bool = False  # whether each model's interactions have the L1 norm 1 in each sample


class Source(NamedTuple):
    """The pre-training that the models start from: its epoch (None if it is not known), and the accuracy on the source
    task's test set after it, of how many inputs (NaN and 0 if it was not trained here)."""

    epoch: int | None = None
    accuracy: float = float("nan")
    inputs: int = 0


class Noise(NamedTuple):
    """The noise of a model's values: its root mean square, and the most that rounding explains."""

    size: float
    explained: float


class Curves(NamedTuple):
    """How a training went. train, test: [epochs + 1, 2], mean loss and accuracy after each epoch, on the training set
    over the epoch's batches (NaN for epoch 0); losses: [its test samples, epochs + 1]."""

    train: np.ndarray
    test: np.ndarray
    losses: np.ndarray


@dataclass
class Study:
    """The data of one run. The models are those of "pretrain" (through its linear probe), "finetune" and "scratch" that
    are compared. The last two have epochs.

    samples: the samples whose interactions are measured, if any are; stores: the store of each model; compared: each
    model's epochs, in order; outcomes: results on the test set, of the models that have predictions; labels: [test
    samples]; schedules: of the learning rate, of the models that we trained; representations: features, of the models
    that have any; train_labels: [training samples], where there are representations; source: of these models;
    class_names: of the target task; similarity: of the epochs of each role to other models, where it is measured;
    curves: of what was trained here, where they are measured: for "pretrain" those on its source task.
    """

    samples: Samples | None
    stores: dict[str, Store]
    compared: dict[str, list[int]]
    options: Options
    outcomes: dict[str, Outcomes] = field(default_factory=dict)
    labels: np.ndarray = field(default_factory=lambda: np.zeros(0, int))
    schedules: dict[str, str] = field(default_factory=dict)
    representations: dict[str, Representation] = field(default_factory=dict)
    train_labels: np.ndarray = field(default_factory=lambda: np.zeros(0, int))
    class_names: Sequence[str] = ()
    similarity: dict[str, Similarity] = field(default_factory=dict)
    source: Source = field(default_factory=Source)
    curves: dict[str, Curves] = field(default_factory=dict)
    bare: bool = False  # whether references may be left out, since only the claims' own values are asked for

    @cached_property
    def about(self) -> dict:
        """The samples, as samples.json describes them; {"samples": []} if no interactions are measured."""
        return self.samples.read() if self.samples else {"samples": []}

    @property
    def n(self) -> int:
        return self.about["n"]

    @property
    def count(self) -> int:
        """The number of samples."""
        return len(self.about["samples"])

    @property
    def subsets(self) -> slice:
        """Selects from the 2**n subsets: all of them, or all but the empty one."""
        return slice(0 if self.options.empty_set else 1, None)

    @property
    def order(self) -> np.ndarray:
        """The order of each of these subsets."""
        return orders(self.n)[self.subsets]

    @property
    def is_shared(self) -> bool:
        """Tells whether all samples have the same variables, and some class has several samples."""
        classes = [sample["class"] for sample in self.about["samples"]]
        return bool(self.about.get("shared_variables")) and len(set(classes)) < len(classes)

    @property
    def unit(self) -> str:
        """The unit of the interactions."""
        return "share of E|v(x_N) - v(x_0)|" if self.options.normalise else "log-odds"

    @property
    def models(self) -> list[str]:
        """The models whose interactions are measured."""
        return list(self.stores)

    @property
    def classes(self) -> int:
        return int(max(self.labels.max(initial=0), self.train_labels.max(initial=0))) + 1

    def epochs(self, model: str) -> list[int]:
        return self.compared[model]

    def last(self, model: str) -> int:
        return self.epochs(model)[-1]

    def values(self, model: str, epoch: int) -> np.ndarray:
        """Returns v: [samples, 2**n]."""
        return self.stores[model].values(epoch)

    def precision(self, model: str) -> str:
        """Returns the precision in which the values of the model's last epoch were computed."""
        return self.stores[model].precision(self.last(model))

    def noise(self, model: str) -> Noise:
        """Returns the noise of the last epoch's values, some of which were also computed in float64."""
        epoch = self.last(model)
        v, checked = self.values(model, epoch), self.stores[model].noise(epoch)
        size = noise_of_values(v[checked["sample"], checked["subset"]], checked["value"])
        return Noise(size, explained(v, self.precision(model)))

    def interactions(self, model: str, epoch: int) -> np.ndarray:
        """Returns I: [samples, 2**n], with the options `normalise` and `salient` applied."""
        return self.counted(interactions(self.values(model, epoch)))

    def counted(self, strength: np.ndarray) -> np.ndarray:
        """Applies the options to given I of one model: [samples, 2**n] -> [samples, 2**n]."""
        if self.options.normalise:
            scale = abs(strength[:, 1:].sum(1)).mean()  # v(x_N) - v(x_0)
            strength = strength / scale if scale > 0 else strength
        if self.options.salient:
            strength = np.where(salient(strength, self.options.tau), strength, 0.0)
        if self.options.equal:
            norm = abs(strength[:, self.subsets]).sum(1, keepdims=True)
            strength = np.divide(strength, norm, out=np.zeros_like(strength), where=norm > 0)
        return strength

    def at_equal_strength(self) -> Self:
        """Returns the same study with each model's interactions scaled, so that their strengths add up to 1 in each
        sample. How strong the pre-trained model is depends on its probe's regularisation; this does not."""
        found = copy.copy(self)
        found.options = replace(self.options, equal=True)
        return found

    def final(self, model: str) -> np.ndarray:
        """Returns I after the model's last epoch."""
        return self.interactions(model, self.last(model))

    @cached_property
    def permutations(self) -> list[np.ndarray]:
        return permutations(self.count, self.n, self.options.permutations, self.options.seed)
