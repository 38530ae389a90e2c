"""Where training from scratch stands between nothing shared and all that can be shared.

The share of the preserved that scratch learns is between a floor, the reference `sign`, and a ceiling: what another
fine-tuning of the same pre-trained model learns of it. On that scale the floor is 0 and the ceiling 1. For example,
with a floor of .27, a ceiling of .59 and .47 learned, scratch stands at .61. Its interval is that of a quotient whose
denominator is uncertain, too (Fieller).
"""

import numpy as np
import pandas as pd

from analysis.claims import EQUAL, KEYS
from analysis.runs.tables import Rows
from analysis.statistics.between import FEWEST, on_scale, spread

CLAIM = "scratch learns part of what can be learned"
NONE = "no range: the ceiling is not clearly above the floor"


def on_scale_rows(rows: list[Rows], over: pd.DataFrame) -> pd.DataFrame:
    """Returns further rows of claims over runs, for the quantities of `ratio` that have a ceiling in all runs. rows:
    claims of the runs, with pseudo-values; over: the claims over them."""
    found, runs = [], [each for each in rows if {"sign_excess", "ceiling_excess"} <= set(each.pseudo)]
    if len(runs) < max(FEWEST, len(rows)) or len({each.of for each in runs}) > 1:
        return pd.DataFrame()
    for _, row in over[over["measure"] == "ratio"].iterrows():
        scaled = {prefix: _scaled(runs, row["key"], prefix) for prefix in ("", EQUAL)}
        if np.isnan(row.get("ceiling", np.nan)):
            continue
        why = NONE if np.isnan(scaled[""][0]) else ""
        numbers = {f"{prefix}{name}": value for prefix, parts in scaled.items()
                   for name, value in zip(("mean", "low", "high"), parts, strict=True)}  # fmt: skip
        names = (
            row["measure"],
            CLAIM,
            f"{row['key']}/scale",
            f"{row['quantity']}, from floor (sign, 0) to ceiling (1)",
        )
        found.append(dict(zip(KEYS, names, strict=True)) | numbers |
                     {"runs": row["runs"], "above": np.nan, "below": np.nan, "verdict": "", "why": why, "noise": "",
                      "runs' verdicts": ""})  # fmt: skip
    return pd.DataFrame(found)


def _scaled(rows: list[Rows], key: str, prefix: str) -> tuple[float, float, float]:
    """Returns value and interval. Each run's numbers are [theta, pseudo-values of each sample], which add up alike."""
    value = np.zeros((len(rows), 1 + len(rows[0].pseudo["sign_excess"])))
    below = {"sign": np.zeros_like(value), "ceiling": np.zeros_like(value)}
    for run, each in enumerate(rows):
        at = int(np.flatnonzero(each.table["key"] == key)[0])
        for name, found in below.items():  # the level lies below the value by the excess
            column = f"{prefix}{name}_excess"
            if column not in each.pseudo:
                return np.nan, np.nan, np.nan
            found[run, 0], found[run, 1:] = -each.table[column].iloc[at], -each.pseudo[column][:, at]
    return on_scale(value, below["sign"], below["ceiling"], lambda both: spread(both[:, :1], both[:, 1:, None]))
