"""The claims in words, as they stand in verdicts.txt and on the terminal.

fine-tuning discards more than twice what it preserves: depends on the probe's scale
    strength discarded / preserved, summed over all subsets: 2.8 [2.5, 3.2], met; at equal strengths 1.4
    [1.2, 1.6], not met
preserves more than a model trained from scratch shares: undecided
    ...
"""

from collections.abc import Iterable, Iterator
from math import isnan
from textwrap import fill

import pandas as pd

from analysis.claims import EQUAL, ORDERS, at_equal, overall
from analysis.tables import compared_with

INDENT, WIDTH, WIDE = "    ", 110, 140
WORDS = ("verdict", "why", "noise", "runs' verdicts")


def told(answers: Iterable[str], lines: Iterable[str]) -> str:
    """Returns the text of verdicts.txt: paragraphs with the answer, and the lines on the claims."""
    paragraphs = [fill(answer, WIDTH, break_on_hyphens=False) for answer in answers if answer]
    claims = "\n".join(map(_wrapped, lines))
    return "\n\n".join(filter(None, [*paragraphs, claims])) + "\n"


def _wrapped(line: str) -> str:
    """Breaks a long line; what goes on stands further to the right."""
    indent = line[: len(line) - len(line.lstrip())]
    return fill(line.strip(), WIDE, initial_indent=indent, subsequent_indent=indent + INDENT, break_on_hyphens=False,
                break_long_words=False)  # fmt: skip


def claim_lines(table: pd.DataFrame) -> Iterator[str]:
    """Yields a line for each claim, with a line for each way to count it below. table: as in claims.csv."""
    table = without_nan(table)
    for claim, rows in table.groupby("claim", sort=False):
        verdict = overall(rows)
        yield f"{claim}: {verdict}" if verdict else claim
        for _, row in rows.iterrows():
            yield INDENT + counted(row)
            if row.get("noise"):
                yield INDENT + f"numerical noise {row['noise']} this"
    yield how_many(table)


def how_many(table: pd.DataFrame) -> str:
    """Says how many claims are judged, and how."""
    claimed = table[table["verdict"] != ""]["claim"].nunique()
    if claimed == 1:
        return "1 claim, judged with a 95 % interval"
    return f"{claimed} claims, each judged by itself with a 95 % interval: none is corrected for the others"


def without_nan(table: pd.DataFrame) -> pd.DataFrame:
    """Returns claims as read from a file, with "" for words that are missing."""
    words = [name for name in table if name in WORDS or not pd.api.types.is_numeric_dtype(table[name])]
    return table.assign(**{name: table[name].astype(object).fillna("") for name in words})


def counted(row: pd.Series) -> str:
    """Returns one way to count a claim, in words: its value, verdict, references."""
    if row["why"]:
        return f"{row['quantity']}: {row['why']}"
    parts = [f"{row['quantity']}: {interval(row)}{_verdict(row['verdict'])}"]
    if not isnan(row.get(f"{EQUAL}mean", float("nan"))):
        parts.append(f"at equal strengths {interval(row, EQUAL)}{_verdict(at_equal(row))}")
    if not isnan(row.get("p", float("nan"))):
        parts.append(f"exact p {row['p']:.2g} over all pairings of the pre-trainings (five or more can decide)")
    if not isnan(row.get(ORDERS, float("nan"))):
        parts.append(f"p {row[ORDERS]:.2g} over the orders of the epochs")
    levels = [
        f"{name} {row[name]:.3g}{_compared(row.get(f'vs_{name}', ''))}"
        for name in compared_with(list(row.index))
        if not isnan(row[name])
    ]
    return "; ".join([*parts, *([", ".join(levels)] if levels else [])])


def interval(row: pd.Series, prefix: str = "", digits: int = 3) -> str:
    """Returns such as "2.8 [2.5, 3.2]"."""
    value, low, high = (f"{row[f'{prefix}{name}']:.{digits}g}" for name in ("mean", "low", "high"))
    return value if isnan(row[f"{prefix}low"]) else f"{value} [{low}, {high}]"


def _compared(verdict: str) -> str:
    return f" ({verdict})" if verdict else ""


def _verdict(verdict: str) -> str:
    return f", {verdict}" if verdict else ""
