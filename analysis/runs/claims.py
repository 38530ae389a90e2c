"""The claims over runs: each setting's mean over its runs, judged as a run's own value is (analysis/claims.py).

holds          the whole interval between runs lies within what is claimed, and chance does not explain it
within chance  the claim is met, but chance would meet it as well
fails          the runs do not show it

Chance explains a range (between 0.13 and 0.45) if it lies in the range. Chance explains "more than 2" unless the
interval of value - chance between runs is above 0: both go up and down together, so that their difference says more
than two intervals do. Without an interval (fewer than three runs, or runs that are all equal), the runs have no
common verdict, only their own.
"""

from collections import Counter

import numpy as np
import pandas as pd

from analysis.runs.found import Run
from analysis.runs.settings import Settings
from analysis.runs.tables import SETTING
from analysis.statistics.between import FEWEST, of_runs

GROUP = ["measure", "claim", "quantity"]
VERDICTS = "runs' verdicts"
ORDER = {"holds": 0, "fails": 2}


def claims(runs: list[Run], settings: Settings) -> pd.DataFrame:
    """Columns: SETTING, setting columns, measure, claim, quantity, runs, value, low, high, chance, verdict, runs'
    verdicts, noise. The rows of a claim are together, and claims are in the order of the first run."""
    rows = []
    for run, values in zip(runs, settings.of_run, strict=True):
        if "claims" in run.tables:
            rows.append(run.tables["claims"].assign(**{SETTING: settings.each.index(values)}))
    if not rows:
        return pd.DataFrame(columns=[SETTING, *GROUP])
    table = pd.concat(rows, ignore_index=True)
    for column in ("measure", "above", "below", "noise"):  # older tables have none of these
        table[column] = table.get(column, pd.Series(np.nan, table.index))
    found = [
        {SETTING: setting, **_named(setting, settings), **dict(zip(GROUP, names, strict=True)), **_judged(group)}
        for names, of_claim in table.groupby(GROUP, sort=False, dropna=False)
        for setting, group in of_claim.groupby(SETTING)
    ]
    return pd.DataFrame(found)


def _named(setting: int, settings: Settings) -> dict[str, object]:
    return dict(zip(settings.headers, settings.each[setting], strict=True))


def _judged(group: pd.DataFrame) -> dict[str, object]:
    """Judges the runs of one setting and claim."""
    doubtful = int((group["noise"].notna() & (group["noise"] != "")).sum())
    known = group[np.isfinite(group["value"])]
    result = of_runs(known["value"]) if len(known) else (np.nan, np.nan, np.nan)
    chance = known["chance"][np.isfinite(known["chance"])]
    return {
        "runs": len(known),
        **dict(zip(("value", "low", "high"), map(float, result), strict=True)),
        "chance": float(chance.mean()),
        "verdict": verdict(known) if len(known) == len(group) >= FEWEST else "",
        VERDICTS: counted(list(group["verdict"])),
        "noise": f"could overturn {doubtful} of {len(group)}" if doubtful else "",
    }


def verdict(runs: pd.DataFrame) -> str:
    """Judges the rows of three or more runs. They have value, chance, and the claimed range in above and below,
    which are NaN at an open end. Returns "" if no range or no interval is known."""
    above, below = runs["above"].iloc[0], runs["below"].iloc[0]
    value, chance = of_runs(runs["value"]), runs["chance"].where(np.isfinite(runs["chance"]))
    if np.isnan(value.low) or (np.isnan(above) and np.isnan(below)):
        return ""
    unknown = chance.isna().all()  # no chance level could explain it
    beyond = value if unknown else of_runs((runs["value"] - chance).dropna())
    if np.isnan(below):
        met, by_itself = value.low > above, unknown or beyond.low > 0
    elif np.isnan(above):
        met, by_itself = value.high < below, unknown or beyond.high < 0
    else:
        met, by_itself = above <= value.low and value.high <= below, not above <= chance.mean() <= below
    return "fails" if not met else "holds" if by_itself else "within chance"


def counted(verdicts: list[str]) -> str:
    """Counts the verdicts: "holds in 2, fails in 1", or "holds in 3 of 3"."""
    counts = Counter(sorted(verdicts, key=lambda verdict: ORDER.get(verdict, 1)))
    if len(counts) == 1:
        return f"{verdicts[0]} in {len(verdicts)} of {len(verdicts)}"
    return ", ".join(f"{name} in {count}" for name, count in counts.items())
