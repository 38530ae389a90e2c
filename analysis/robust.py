"""Finds the claims that numerical noise could overturn.

Values have noise: for some of each model's values, the store also holds the same in float64. To find out whether the
noise matters, noise of the same size is drawn at random and added to all values, and every claim is measured again. The
noise that the values already have may have moved the result as far as the added noise does. So the value and its
interval are shifted by that much, down and up; if the verdict changes, noise could overturn the claim.

For example, the share of the preserved that scratch learns is 0.44, with an interval of 0.42 to 0.447: within 13 to 45
%, so the claim holds. With noise added it is 0.435. Moved by 0.005 the interval ends at 0.452, and the claim would
fail: it is marked. If the noise had moved it by 1e-7, it would not be marked.

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
    """The same study with noise added, and without levels of chance.

    Each sample occurs once for each draw of the noise, and a "resample" is one draw: the interval of a quantity goes
    from its smallest value in any draw to its largest.
    """

    def __init__(self, study: Study) -> None:
        super().__init__(study.samples, study.stores, study.compared, study.options)
        self.sizes = {model: study.noise(model).size for model in study.models}
        self.permutations = []

    @cached_property
    def drawn(self) -> dict[str, np.ndarray]:
        """The noise in the interactions of each model: [DRAWS * samples, 2**n]."""
        draw, shape = np.random.default_rng([self.options.seed, 3]), (DRAWS * self.count, 2**self.n)
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

    def weights(self, samples: int) -> np.ndarray:
        return np.kron(np.eye(DRAWS), np.full(samples // DRAWS, DRAWS / samples))

    def interactions(self, model: str, epoch: int) -> np.ndarray:
        """Returns I: [DRAWS * samples, 2**n]."""
        # I is linear in v, so noise is transformed once. In the next epoch each sample gets the noise of the sample
        # before it: this is as good as a new draw, and takes a tenth of the time.
        strength, place = interactions(self.values(model, epoch)), self.epochs(model).index(epoch)
        return self.counted(np.tile(strength, (DRAWS, 1)) + np.roll(self.drawn[model], place, axis=0))


def doubtful(noisy: Noisy, measure: Measure, claims: list[Claim]) -> list[bool]:
    """Tells for each claim whether noise could overturn it. Claims without interactions are never marked."""
    if not claims or measure.needs.on != "interactions" or not any(noisy.sizes.values()):  # computed in float64
        return [False] * len(claims)
    measured = measure.samples(noisy)
    again = measure.claims(measured, noisy.weights(measured.samples))
    drowned = bool(noisy.drowned & set(measure.subject.models))
    return [drowned or overturned(claim, other) for claim, other in zip(claims, again, strict=True)]


def overturned(claim: Claim, shaken: Claim) -> bool:
    """Tells whether the verdict changes if the claim's value moves down or up as far as noise moves it."""
    result, extremes = claim.result, np.array([shaken.result.low, shaken.result.high])
    with np.errstate(invalid="ignore"):  # infinite before and after means not moved
        moved = np.where(extremes == result.mean, 0, abs(extremes - result.mean)).max()
        return any(
            claim.judge(result._replace(low=result.low + by, high=result.high + by, beyond=result.beyond + by))
            != claim.verdict
            for by in (-moved, moved)
        )
