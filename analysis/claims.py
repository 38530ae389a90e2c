"""A claim of a paper: what was measured, its interval, its chance level, and a verdict.

holds          the whole 95 % interval lies within what is claimed, and chance does not explain it
within chance  the claim is met, but models that share nothing would meet it as well
fails          the data do not show the claim, which does not refute it

Intervals are over the samples of one training run per model; they do not cover other seeds. The claims themselves
are in the files of the measures that they rest on (analysis/measures/).
"""

from dataclasses import dataclass
from math import inf, isnan

import pandas as pd

from analysis.statistics.estimate import Estimate

COLUMNS = ["measure", "claim", "quantity", "value", "low", "high", "chance", "above", "below", "verdict", "noise"]


@dataclass(frozen=True)
class Claim:
    """The claim that `quantity` lies above `above`, or, if `below` is given, between the two."""

    claim: str
    quantity: str
    result: Estimate
    above: float
    below: float = inf

    @property
    def verdict(self) -> str:
        return self.judge(self.result)

    def judge(self, result: Estimate) -> str:
        """Returns the verdict on what was measured, or on what the result could be without noise."""
        return more_than(result, self.above) if self.below == inf else inside(result, self.above, self.below)


def more_than(result: Estimate, threshold: float) -> str:
    """Judges a claim of more than `threshold`. Chance explains it unless the value is significantly above chance or
    no chance level is known."""
    if not result.low > threshold:
        return "fails"
    return "holds" if result.beyond > 0 or isnan(result.chance) else "within chance"


def inside(result: Estimate, low: float, high: float) -> str:
    """Judges a claim of a range. Chance explains it if chance lies in the range, too."""
    if not (low <= result.low and result.high <= high):
        return "fails"
    return "within chance" if low <= result.chance <= high else "holds"


def as_table(measure: str, claims: list[Claim], doubtful: list[bool]) -> pd.DataFrame:
    """Returns a row for each claim of a measure. above, below: what is claimed, empty where the range has no bound;
    doubtful: whether noise could overturn each claim."""
    rows = [
        (measure, claim.claim, claim.quantity, *claim.result.row(), claim.above,
         None if claim.below == inf else claim.below, claim.verdict, "could overturn" if doubted else "")
        for claim, doubted in zip(claims, doubtful, strict=True)
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=COLUMNS)
