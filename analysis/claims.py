"""A claim of a paper: what was measured, its interval, what it is compared with, and a verdict in two parts.

The claim itself, by the 95 % interval of each quantity that it may mean:
    met             the whole interval lies within what is claimed
    not met         the whole interval lies outside
    undecided       neither
    not measurable  there is nothing to compare
If one is met and another is not, the claim "depends on how it is counted"; if that is so of the same quantity as
measured and once both models have the same strength, it "depends on the probe's scale". If the main one is decided as
measured, and undecided at the same strength, the claim is undecided.

Against each reference, by the interval of the excess over it:
    more, less      the interval lies above 0, below 0
    equal           it lies within 10 % of the quantity around 0
    undecided       neither

The claims themselves are in the files of the measures that they rest on (analysis/measures/). Each is judged by
itself: the more claims there are, the more likely it is that one of them is met by accident.
"""

from dataclasses import dataclass
from math import inf, isnan

import numpy as np
import pandas as pd

from analysis.statistics.estimate import Estimate
from analysis.tables import EQUAL, ESTIMATE, compared_with, expanded

MET, NOT_MET, UNDECIDED, IMPOSSIBLE = "met", "not met", "undecided", "not measurable"
SCALE, COUNTED = "depends on the probe's scale", "depends on how it is counted"
NEAR = 0.1  # of the quantity: references so near are equal
KEYS = ["measure", "claim", "key", "quantity"]
JUDGED = ["above", "below", "verdict", "why", "noise"]


@dataclass(frozen=True)
class Claim:
    """The claim that `quantity` lies above `above`, or, if `below` is given, between the two.

    key: a short name that does not change, such as "ratio/weighted"; above: NaN if nothing is claimed, only measured;
    impossible: why there is nothing to compare, or "". Several with the same `claim` are different ways to count it.
    """

    claim: str
    key: str
    quantity: str
    result: Estimate
    above: float
    below: float = inf
    impossible: str = ""

    @property
    def verdict(self) -> str:
        return self.judge(float(self.result.own.low), float(self.result.own.high))

    def judge(self, low: float, high: float) -> str:
        """Returns the verdict on an interval: that of the result, or one it could have without noise."""
        return IMPOSSIBLE if self.impossible else judged(low, high, self.above, self.below)


def judged(low: float, high: float, above: float, below: float = inf) -> str:
    """Judges the claim that a quantity with this interval lies above `above` and below `below` (infinite or NaN: no
    bound). Returns "" if nothing is claimed."""
    below = inf if isnan(below) else below
    if isnan(above) and below == inf:
        return ""
    above = -inf if isnan(above) else above
    if isnan(low) or isnan(high):
        return IMPOSSIBLE
    is_range = below < inf and above > -inf  # whose ends belong to it
    if (low >= above and high <= below) if is_range else (low > above and (below == inf or high < below)):
        return MET
    return NOT_MET if high <= above or low >= below else UNDECIDED


def compared(low: float, high: float, value: float) -> str:
    """Judges the interval of an excess over a reference. value: the quantity itself."""
    if isnan(low) or isnan(high):
        return ""
    if low > 0 or high < 0:
        return "more" if low > 0 else "less"
    return "equal" if max(-low, high) <= NEAR * abs(value) else UNDECIDED


def overall(rows: pd.DataFrame) -> str:
    """Returns the verdict on a claim from the rows of its quantities, the main one first. Only "met" and "not met"
    contradict each other: what is undecided does not show that anything depends on something."""
    main = rows["verdict"].iloc[0]
    if main in ("", IMPOSSIBLE):
        return main
    both = [{row["verdict"], at_equal(row)} for _, row in rows.iterrows() if row["verdict"] != IMPOSSIBLE]
    if any({MET, NOT_MET} <= verdicts for verdicts in both):
        return SCALE
    if {MET, NOT_MET} <= set().union(*both):
        return COUNTED
    return UNDECIDED if UNDECIDED in both[0] else main


def at_equal(row: pd.Series) -> str:
    """Returns the verdict where both models have the same strength, "" if it has none: nothing is claimed, or an exact
    test decides, which is of the strengths as measured."""
    ends = [row.get(f"{EQUAL}{end}", np.nan) for end in ("low", "high")]
    exact = not isnan(row.get("p", np.nan))
    return "" if exact or any(map(isnan, ends)) else judged(*ends, row["above"], row["below"])


def as_table(
    measure: str, claims: list[Claim], doubtful: list[bool] | None = None
) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    """Returns a row for each claim of a measure, and the rows' pseudo-values (analysis/tables.py). above, below: what
    is claimed, NaN where the range has no bound; doubtful: whether noise could overturn each claim."""
    if not claims:
        return pd.DataFrame(), {}
    rows = [(measure, claim.claim, claim.key, claim.quantity, claim.result) for claim in claims]
    table, pseudo = expanded(pd.DataFrame(rows, columns=[*KEYS, ESTIMATE]))
    table["above"] = [claim.above for claim in claims]
    table["below"] = [np.nan if claim.below == inf else claim.below for claim in claims]
    table["verdict"] = [claim.verdict for claim in claims]
    table["why"] = [claim.impossible for claim in claims]
    table["noise"] = ["could overturn" if doubted else "" for doubted in doubtful or [False] * len(claims)]
    return with_comparisons(table), pseudo


def with_comparisons(table: pd.DataFrame) -> pd.DataFrame:
    """Adds a column vs_<reference> for each reference that has an excess."""
    for reference in compared_with(list(table)):
        parts = (table[f"{reference}_low"], table[f"{reference}_high"], table["mean"])
        table[f"vs_{reference}"] = [compared(*row) for row in zip(*parts, strict=True)]
    return table


def ordered(table: pd.DataFrame) -> pd.DataFrame:
    """Returns claims of all measures with the columns in their order, as claims.csv has them: what was measured, the
    verdicts, then all numbers."""
    versus = [name for name in table if name.startswith("vs_")]
    first = [*KEYS, "mean", "low", "high", "above", "below", "verdict", *versus, "why", "noise"]
    return table[[*first, *(name for name in table if name not in first)]]
