"""The claims as the report shows them: each with its verdict, and under it what it was counted by."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import isnan

import pandas as pd

from analysis.claims import EQUAL, ORDERS, at_equal, overall
from analysis.tables import compared_with
from analysis.told import without_nan

NOTHING = float("nan")


@dataclass(frozen=True)
class Level:
    """A reference of a quantity: its value, the excess over it with its interval, and more, less, equal, undecided."""

    name: str
    value: float
    excess: tuple[float, float, float]
    verdict: str


@dataclass(frozen=True)
class Counted:
    """One way to count a claim. value, equal: (value, low, high), also at equal strengths; why: it is not measurable;
    each: the runs' own verdicts; p: over the orders of the epochs, NaN if none is needed."""

    quantity: str
    value: tuple[float, float, float]
    verdict: str
    equal: tuple[float, float, float]
    at_equal: str
    levels: list[Level]
    why: str
    noise: str
    each: str
    p: float = NOTHING


@dataclass(frozen=True)
class Judged:
    """A claim with its verdict. setting, runs: of claims over runs."""

    claim: str
    verdict: str
    ways: list[Counted]
    setting: str = ""
    runs: int = 1

    @property
    def has_equal(self) -> bool:
        return any(not isnan(way.equal[0]) for way in self.ways)

    @property
    def has_references(self) -> bool:
        return any(way.levels for way in self.ways)

    @property
    def has_noise(self) -> bool:
        return any(way.noise for way in self.ways)


def judged(table: pd.DataFrame) -> list[Judged]:
    """Returns the claims of claims.csv, of one run or over runs, in their order."""
    if table.empty:
        return []
    table = without_nan(table)
    by = ["claim", "setting"] if "setting" in table else ["claim"]
    return [
        Judged(names[0], overall(rows), [_counted(row) for _, row in rows.iterrows()], *(names[1:]),
               **({"runs": int(rows["runs"].max())} if "runs" in rows else {}))
        for names, rows in table.groupby(by, sort=False)
    ]  # fmt: skip


def _counted(row: pd.Series) -> Counted:
    none = bool(row["why"])  # then nothing beside the reason is shown
    return Counted(
        row["quantity"], _interval(row, ""), row["verdict"], (NOTHING,) * 3 if none else _interval(row, EQUAL),
        "" if none else at_equal(row), [] if none else list(_levels(row)), row["why"], row.get("noise", ""),
        row.get("runs' verdicts", ""), row.get(ORDERS, NOTHING),
    )  # fmt: skip


def _interval(row: pd.Series, stem: str) -> tuple[float, float, float]:
    return tuple(row.get(f"{stem}{name}", NOTHING) for name in ("mean", "low", "high"))


def _levels(row: pd.Series) -> Iterator[Level]:
    for name in compared_with(list(row.index)):
        if not isnan(row[name]):
            excess = tuple(row[f"{name}_{part}"] for part in ("excess", "low", "high"))
            yield Level(name, row[name], excess, row.get(f"vs_{name}", ""))
