"""The answer over runs of several conditions, in sentences: which layers move, and with what labels.

Early layers move less than later ones, from scratch (CKA apart by 0.2 [0.1, 0.3]; beyond a random move of the weights
it is not shown: 0.01 [-0.1, 0.1]). The more random the labels, the more early layers move in fine-tuning (CKA apart by
0.05 [0.04, 0.06]; beyond a random move of the weights by 0.04 [0.03, 0.05]). This is known over 20 runs, 5 combinations
of seeds: other pre-trainings on the same data.
"""

from collections.abc import Iterator, Mapping
from math import isnan

import pandas as pd

from analysis.claims import IMPOSSIBLE, MET, NOT_MET
from analysis.runs.conditions import Conditions
from analysis.runs.similarity_asked import CLAIMS, ONLY
from analysis.told import interval

ASKED = {asked.key: asked for asked in (*CLAIMS, ONLY)}


def answer(found: Conditions, claims: pd.DataFrame) -> str:
    """Returns the paragraph, "" if no claim can be measured. claims: of similarity_claims."""
    rows = {row["key"].removeprefix("similarity/"): row for _, row in claims.iterrows()}
    sentences = [*_shown(rows), *_not_shown(rows)]
    return " ".join([*sentences, _known(found)]) if sentences else ""


def _shown(rows: Mapping[str, pd.Series]) -> Iterator[str]:
    for key, asked in ASKED.items():
        measured = rows.get(f"{key}/measured")
        if measured is not None and measured["verdict"] in (MET, NOT_MET):
            sentence = asked.claim if measured["verdict"] == MET else asked.contrary
            apart = f"CKA apart by {_by(measured)}{_beyond(rows, key, measured['verdict'])}"
            moved = f"the layer before it that moves most moves {interval(measured, digits=2)} times as far"
            yield f"{_capital(sentence)} ({moved if key == ONLY.key else apart})."


def _beyond(rows: Mapping[str, pd.Series], key: str, verdict: str) -> str:
    """Says what is left beyond a random move, "" where there is no such level."""
    row = rows.get(f"{key}/excess")
    if row is None or isnan(row["low"]):
        return ""
    if row["verdict"] == verdict:
        return f"; beyond a random move of the weights by {_by(row)}"
    known = "the contrary is shown" if row["verdict"] in (MET, NOT_MET) else "it is not shown"
    return f"; beyond a random move of the weights {known}: {interval(row, digits=2)}"


def _not_shown(rows: Mapping[str, pd.Series]) -> Iterator[str]:
    open_ones = [asked.claim for key, asked in ASKED.items()
                 if (row := rows.get(f"{key}/measured")) is not None
                 and row["verdict"] not in (MET, NOT_MET, IMPOSSIBLE)]  # fmt: skip
    if open_ones:
        yield f"Not shown, nor the contrary: {'; '.join(open_ones)}."


def _by(row: pd.Series) -> str:
    """Returns how far apart two values of CKA are, whichever is larger."""
    turned = pd.Series({"mean": -row["mean"], "low": -row["high"], "high": -row["low"]})
    return interval(row if row["mean"] >= 0 else turned, digits=2)


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


def _known(found: Conditions) -> str:
    runs, seeds = sum(found.runs.values()), len(found.seeds)
    if seeds < 2 or not found.level:
        return f"This is of {runs} runs with one combination of seeds: what others would give, it does not say."
    return f"This is known over {runs} runs, {seeds} combinations of seeds: {found.level}."
