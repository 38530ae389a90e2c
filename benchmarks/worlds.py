"""Simulated worlds: models whose interactions share what we say they share, so that the truth is known.

The interaction of a subset S of one sample is

    decay with the order  x  strength of the sample  x  salience of the patches in S  x  effect of S

The first three are common to all models; only the effects tell whether two models know the same. The fine-tuned
model's effect is that of the pre-trained model with probability `same`; otherwise it correlates with it by `kept`.
Scratch's effects correlate with it by `found`. Several runs share samples and the pre-trained model; each has its own
trainings, whose strengths, correlations and accuracies differ by `training`.

What is returned are studies as those of real runs, held in memory: the measures themselves are tried.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from analysis.formulas.accuracy import Outcomes
from analysis.study import Options, Study
from interactions.mobius import orders, values

DECAY = np.array([2.6, 0.57, 0.10, 0.05, 0.04, 0.036])  # mean strength per order, as of a trained network
OPTIONS = Options(salient=False, tau=0.05, empty_set=True, normalise=False, permutations=0, resamples=1000, seed=0)
TESTS = 10  # test samples for each sample whose interactions are known
EASE = {"finetune": 1.0, "scratch": 0.5}  # how far a test sample of medium difficulty is from being misclassified


@dataclass(frozen=True)
class World:
    """n: variables. scale: standard deviation of the logarithm of the samples' strengths; salience: of the patches';
    own: of one model's strength on one sample; training: between runs. same, kept, found: what models share, see above.
    noise, tails: scratch's own effects are raised to the power of `tails`, then multiplied by `noise`."""

    n: int = 6
    scale: float = 0.6
    salience: float = 0.5
    own: float = 0.3
    training: float = 0.0
    same: float = 0.0
    kept: float = 0.0
    found: float = 0.0
    noise: float = 1.0
    tails: float = 1.0

    def runs(self, count: int, samples: int, draw: np.random.Generator, times: int = 1) -> Iterator[Study]:
        """Yields runs on the same samples: one pre-training, `count` fine-tunings and trainings from scratch.

        times: draws so many such sets of runs at once. Sample i belongs to set i % times. What differs from run to run
        is mirrored in the second half of the sets, so that few sets come near the mean of all.
        """
        member = (np.arange(2**self.n)[:, None] >> np.arange(self.n)) & 1
        salience = self.salience * draw.standard_normal((samples * times, self.n)) @ member.T
        strength = self.scale * draw.standard_normal((samples * times, 1))
        common = np.exp(strength + salience) * DECAY[np.minimum(orders(self.n), len(DECAY) - 1)]
        effect, ease = draw.laplace(size=common.shape), draw.standard_normal((TESTS * samples * times, 1))
        pretrain = common * self._own(effect, draw) * effect

        for _ in range(count):
            half = self.training * draw.standard_normal((6, (times + 1) // 2, 1))
            of_run = [np.tile(np.concatenate([each, -each])[:times], (samples, 1)) for each in half]
            finetune = common * self._own(effect, draw) * np.exp(of_run[0]) * self._finetune(effect, of_run[1], draw)
            scratch = common * self._own(effect, draw) * np.exp(of_run[2]) * self._scratch(effect, of_run[3], draw)
            correct = {model: ease + draw.standard_normal(ease.shape) + mean + np.tile(of, (TESTS, 1)) > 0
                       for (model, mean), of in zip(EASE.items(), of_run[4:], strict=True)}  # fmt: skip
            yield study(pretrain, finetune, scratch, correct)

    def _own(self, effect: np.ndarray, draw: np.random.Generator) -> np.ndarray:
        return np.exp(self.own * draw.standard_normal((len(effect), 1)))

    def _finetune(self, effect: np.ndarray, of_run: np.ndarray, draw: np.random.Generator) -> np.ndarray:
        share = np.clip(self.kept + of_run / 2, -1, 1)
        other = share * effect + np.sqrt(1 - share**2) * draw.laplace(size=effect.shape)
        return np.where(draw.random(effect.shape) < self.same, effect, other)

    def _scratch(self, effect: np.ndarray, of_run: np.ndarray, draw: np.random.Generator) -> np.ndarray:
        share, rest = np.clip(self.found + of_run / 2, -1, 1), draw.laplace(size=effect.shape)
        return share * effect + np.sqrt(1 - share**2) * self.noise * np.sign(rest) * abs(rest) ** self.tails


class Held:
    """The values of a model's epochs, as a store has them. interactions: [samples, 2**n] of each epoch."""

    def __init__(self, *interactions: np.ndarray) -> None:
        self.v = [values(each) for each in interactions]

    def read(self) -> dict:
        """Describes the samples."""
        count, subsets = self.v[0].shape
        return {"n": subsets.bit_length() - 1, "samples": [{"class": "any"}] * count}

    def values(self, epoch: int) -> np.ndarray:
        return self.v[epoch]


def study(
    pretrain: np.ndarray, finetune: np.ndarray, scratch: np.ndarray, correct: dict[str, np.ndarray] | None = None
) -> Study:
    """Returns a study of these interactions [samples, 2**n]. The trained models have an epoch before the last one, in
    which every other effect is missing. correct: whether a model is right, [test samples, 1]."""
    half = np.arange(pretrain.shape[1]) % 2
    stores = {"pretrain": Held(pretrain), "finetune": Held(finetune * half, finetune),
              "scratch": Held(scratch * half, scratch)}  # fmt: skip
    outcomes = {model: Outcomes(right.astype(float), 1.0 - right) for model, right in (correct or {}).items()}
    epochs = {model: list(range(len(store.v))) for model, store in stores.items()}
    return Study(stores["pretrain"], stores, epochs, OPTIONS, outcomes, np.arange(TESTS * len(pretrain)) % 2)
