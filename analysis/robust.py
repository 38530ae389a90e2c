"""Finds the claims that numerical noise could overturn.

Values have noise: for some of each model's values, the store also holds the same in float64. To find out whether the
noise matters, noise of the same size is drawn at random and added to all values, and every claim is measured again. The
noise that the values already have may have moved the result as far as the added noise does. So the value and its
interval are shifted by that much, down and up; if the verdict changes, noise could overturn the claim.

For example, the share of the preserved that scratch learns is 0.44, with an interval of 0.42 to 0.447: within 13 to 45
%, so the claim is met. With noise added it is 0.435. Moved by 0.005 the interval ends at 0.452, and the claim would be
undecided: it is marked. If the noise had moved it by 1e-7, it would not be marked.

Where noise makes up half or more of a model's strength, added noise says nothing, as strengths and signs are noise
already: then all claims about that model's interactions are marked.
"""

from functools import cached_property

import numpy as np

from analysis.claims import Claim
from analysis.formulas.noise import noise_by_order
from analysis.measure import Measure
from analysis.study import Study
from interactions.mobius import interactions, orders

DRAWS = 2
HALF = 0.5


class Noisy(Study):
    """The same study with noise added to its values. draw: which draw of the noise."""

    def __init__(self, study: Study, draw: int = 0) -> None:
        super().__init__(
            study.samples, study.stores, study.compared, study.options, study.outcomes, study.labels, study.schedules
        )
        self.sizes = {model: study.noise(model).size for model in study.models}
        self.permutations, self.draw, self.bare = [], draw, True

    @cached_property
    def drawn(self) -> dict[str, np.ndarray]:
        """The noise in the interactions of each model: [samples, 2**n]."""
        draw, shape = np.random.default_rng([self.options.seed, 3, self.draw]), (self.count, 2**self.n)
        return {model: interactions(draw.normal(scale=size, size=shape)) for model, size in self.sizes.items()}

    @cached_property
    def drowned(self) -> set[str]:
        """The models for which at least half of the strength, summed over all subsets, is noise."""
        found = set()
        for model, size in self.sizes.items():
            strength = abs(interactions(self.values(model, self.last(model)))).mean(0).sum()
            if size > 0 and noise_by_order(size, self.n)[orders(self.n)].sum() >= HALF * strength:
                found.add(model)
        return found

    def interactions(self, model: str, epoch: int) -> np.ndarray:
        """Returns I: [samples, 2**n]."""
        # I is linear in v, so noise is transformed once. In the next epoch each sample gets the noise of the sample
        # before it: this is as good as a new draw, and takes a tenth of the time.
        strength, place = interactions(self.values(model, epoch)), self.epochs(model).index(epoch)
        return self.counted(strength + np.roll(self.drawn[model], place, axis=0))


def with_noise(study: Study) -> list[Noisy]:
    """Returns the study with each draw of the noise."""
    return [Noisy(study, draw) for draw in range(DRAWS)]


def doubtful(noisy: list[Noisy], measure: Measure, claims: list[Claim]) -> list[bool]:
    """Tells for each claim whether noise could overturn it. Claims without interactions are never marked."""
    if not claims or measure.needs.on != "interactions" or not any(noisy[0].sizes.values()):  # computed in float64
        return [False] * len(claims)
    again = [measure.claims(measure.samples(study)) for study in noisy]
    drowned = bool(noisy[0].drowned & set(measure.subject.models))
    return [drowned or overturned(claim, others) for claim, *others in zip(claims, *again, strict=True)]


def overturned(claim: Claim, shaken: list[Claim]) -> bool:
    """Tells whether the verdict changes if the claim's value moves down or up as far as noise moves it."""
    value, low, high = (float(part) for part in claim.result.own[:3])
    others = np.array([float(each.result.value) for each in shaken])
    with np.errstate(invalid="ignore"):  # infinite before and after means not moved
        moved = np.where(others == value, 0, abs(others - value)).max()
    return any(claim.judge(low + by, high + by) != claim.verdict for by in (-moved, moved))
