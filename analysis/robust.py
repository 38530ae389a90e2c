"""Which claims numerical noise could overturn.

Values have noise: the store holds how far some of each model's are from the same in float64. Whether that matters for
what is found is tried out: noise of the same size is added once more to all values, drawn at random, and every claim is
measured again. What the noise added moves, the noise that is there already may have moved as far. So the value and its
interval are shifted by that much, down and up; where the verdict becomes another one, noise could overturn the claim.

For example, the share of the preserved that scratch learns is 0.44, with an interval of 0.42 to 0.447: within 13 to
45 %, it holds. With noise added it is 0.435. Moved by 0.005 the interval ends at 0.452, so the claim would fail: it is
marked. Had the noise moved it by 1e-7, it would not be.

Where noise makes up half or more of a model's strength, adding some tells nothing any more, for strength and signs are
noise already: all claims about that model's interactions are marked.
"""

from math import comb

import numpy as np
import pandas as pd

from analysis.claims import SUBJECTS, Claim, claims
from analysis.measures import Measures
from analysis.statistics.estimate import quotient
from analysis.study import Study
from interactions.mobius import interactions

DRAWS = 2
HALF = 0.5


def doubtful(study: Study, found: dict[str, list[Claim]], noise: pd.DataFrame) -> set[tuple[str, str]]:
    """The (claim, quantity) that noise could overturn. found: the study's claims by subject; noise: its table of that.

    Claims about accuracy rest on no interactions: they are never among them.
    """
    sizes = noise.groupby("model")["noise_v"].first().to_dict()
    if not any(sizes.values()):  # computed in float64
        return set()
    drowned, again = _drowned(noise), claims(Measures(Noisy(study, sizes)), {})
    return {
        (claim.claim, claim.quantity)
        for subject, shaken in again.items()
        for claim, other in zip(found[subject] if shaken else [], shaken, strict=True)
        if drowned & set(SUBJECTS[subject][0]) or overturned(claim, other)
    }


class Noisy(Study):
    """The same study with noise added, and no levels of chance.

    Each sample is there once for each draw of the noise, and a "resample" is one draw: the interval of a quantity goes
    from its smallest value in any draw to its largest.
    """

    def __init__(self, study: Study, sizes: dict[str, float]) -> None:
        """sizes: of the noise of v, for each model."""
        self.__dict__ |= {key: value for key, value in study.__dict__.items() if key not in ("weights", "permutations")}
        draw = np.random.default_rng([study.options.seed, 3])
        shape = (DRAWS * study.samples, 2**study.n)
        self.noise = {model: interactions(draw.normal(scale=size, size=shape)) for model, size in sizes.items()}
        self.weights = np.kron(np.eye(DRAWS), np.full(study.samples, 1 / study.samples))
        self.permutations = []

    def interactions(self, model: str, epoch: int) -> np.ndarray:
        """I: [DRAWS * samples, 2**n]."""
        # I is linear in v: noise is transformed once. In the next epoch each sample meets the noise that the sample
        # before it has met: as good as drawn for it, and takes a tenth of the time.
        strength, place = interactions(self.values(model, epoch)), self.epochs(model).index(epoch)
        return self.counted(np.tile(strength, (DRAWS, 1)) + np.roll(self.noise[model], place, axis=0))


def overturned(claim: Claim, shaken: Claim) -> bool:
    """Whether another verdict is reached if the claim's value is as much smaller, or larger, as noise makes it."""
    result, extremes = claim.result, np.array([shaken.result.low, shaken.result.high])
    with np.errstate(invalid="ignore"):  # infinite before and after: not moved
        moved = np.where(extremes == result.mean, 0, abs(extremes - result.mean)).max()
        return any(
            claim.judge(result._replace(low=result.low + by, high=result.high + by, beyond=result.beyond + by))
            != claim.verdict
            for by in (-moved, moved)
        )


def _drowned(noise: pd.DataFrame) -> set[str]:
    """The models half of whose strength, summed over all subsets, is noise or more."""
    count = noise["order"].map(lambda order: comb(int(noise["order"].max()), int(order)))
    sums = noise[["noise", "strength"]].mul(count, axis=0).groupby(noise["model"]).sum()
    return set(sums.index[quotient(sums["noise"], sums["strength"]) >= HALF])
