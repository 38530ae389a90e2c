"""The answer over runs of several conditions, in a few sentences: which layers move, and with what labels.

Met, in brackets how far CKA is apart beyond a random move of the weights: early layers (block1, block2) move less than
later ones, from scratch (0.2 [0.1, 0.3]); the more random the labels, the more early layers move in fine-tuning (0.05
[0.04, 0.06]). Undecided: another data set moves the penultimate layer more than shifted labels. This is known over 20
runs, 5 combinations of seeds: other pre-trainings on the same data.

A claim has the verdict that it has in the report, by all ways to count it.
"""

from collections.abc import Iterator, Sequence

import pandas as pd

from analysis.claims import COUNTED, IMPOSSIBLE, MET, NOT_MET, UNDECIDED, overall
from analysis.runs.conditions import Conditions
from analysis.runs.similarity_asked import CLAIMS, ONLY, Asked
from analysis.runs.similarity_claims import NOT_LEARNED
from analysis.runs.similarity_words import listed
from analysis.told import interval

EXCESS = "/excess"  # the end of a key
BEYOND = " beyond a random move of the weights"
Found = tuple[Asked, pd.DataFrame]  # the claim, and the ways to count it, the main one first


def answer(found: Conditions, claims: pd.DataFrame) -> str:
    """Returns the paragraph, "" if no claim can be measured. claims: of similarity_claims."""
    by: dict[str, list[Found]] = {}
    for asked in CLAIMS:
        if len(rows := claims[claims["claim"] == asked.claim]):
            by.setdefault(overall(rows), []).append((asked, rows))
    sentences = [
        *_decided("Met", MET, by.get(MET, [])),
        *_decided("The contrary is met", NOT_MET, by.get(NOT_MET, [])),
        *_open("Depends on how it is counted", by.get(COUNTED, [])),
        *_open("Undecided", by.get(UNDECIDED, [])),
        *_not_learned(by.get(IMPOSSIBLE, [])),
    ]
    text = " ".join([*sentences, _known(found)]) if sentences else ""
    return text.replace("early layers", f"early layers {listed(found.early)}", 1) if found.early else text


def _decided(opening: str, verdict: str, found: Sequence[Found]) -> Iterator[str]:
    """Yields a sentence with a number for each claim: that of its main way."""
    every = [(asked, rows.iloc[0]) for asked, rows in found]
    if every:
        beyond = BEYOND * all(row["key"].endswith(EXCESS) for _, row in every)
        parts = [f"{asked.claim if verdict == MET else asked.contrary} ({_by(asked, row, not beyond)})"
                 for asked, row in every]  # fmt: skip
        yield f"{opening}, in brackets how far CKA is apart{beyond}: {'; '.join(parts)}."


def _by(asked: Asked, row: pd.Series, told: bool) -> str:
    """Returns how far apart two values of CKA are, whichever is larger. told: whether it is said of a way that it is
    beyond a random move."""
    beyond = BEYOND * (told and row["key"].endswith(EXCESS))
    if asked is ONLY:
        return f"the one before it that moves most moves {interval(row, digits=2)} times as far{beyond}"
    turned = pd.Series({"mean": -row["mean"], "low": -row["high"], "high": -row["low"]})
    return interval(row if row["mean"] >= 0 else turned, digits=2) + beyond


def _open(opening: str, found: Sequence[Found]) -> Iterator[str]:
    if found:
        yield f"{opening}: {'; '.join(asked.claim for asked, _ in found)}."


def _not_learned(found: Sequence[Found]) -> Iterator[str]:
    """Says where random labels were not learned, and how many claims that leaves open."""
    whys = [why for _, rows in found if (why := rows["why"].iloc[0]).startswith(NOT_LEARNED)]
    if whys:
        count = f"{len(whys)} claims are" if len(whys) > 1 else "1 claim is"
        yield f"{count} not measurable: {min(whys)}."


def _known(found: Conditions) -> str:
    runs, seeds = sum(found.runs.values()), len(found.seeds)
    if seeds < 2 or not found.level:
        return f"This is of {runs} runs with one combination of seeds: what others would give, it does not say."
    return f"This is known over {runs} runs, {seeds} combinations of seeds: {found.level}."
