"""The answer over runs of many pre-training epochs, in sentences: which epoch is best, and which score says so.

Of 6 epochs of pre-training from 1 to 40, the best is 5 for frozen features with a fixed number of steps (single seeds:
5 [3.6, 6.4]); 40 for fine-tuning (...). After its best epoch FE with a fixed number of steps falls, by 5.7 points [5.5,
5.9]. The epochs' order by FT is told best by the epoch itself (tau 1 [0.95, 1], p 0.0028), which takes no score: ...
This is known over 30 runs, 5 combinations of seeds: other pre-trainings on the same data.
"""

from collections.abc import Iterator
from math import isnan

import numpy as np
import pandas as pd

from analysis.claims import MET, NOT_MET
from analysis.runs.epoch_claims import LAST
from analysis.runs.epochs import TARGETS, Epochs
from analysis.runs.ranking import RANKERS, TRIVIAL, best_of
from analysis.statistics.curves import best, interval, width

HOW = {
    "fe": "frozen features with a fixed number of steps",
    "fe_converged": "frozen features with a converged head",
    "ft": "fine-tuning",
}
COLUMNS = ["quantity", "epochs", "seeds", "best", "mean", "low", "high", "accuracy", "at_last"]


def best_epochs(found: Epochs) -> pd.DataFrame:
    """Returns for each kind of transfer the epoch where the mean curve is highest (`best`), the mean of the seeds' own
    best epochs with its interval, and the mean accuracy at the best and at the last epoch."""
    rows = []
    for target in [name for name in TARGETS if found.has(name)]:
        epochs, curves = found.together(target)
        if len(curves):
            mean = curves.mean(0)
            own = interval(best(curves, epochs), width(curves, epochs), (epochs[0], epochs[-1]))
            at = int(mean.argmax())
            rows.append([target, len(epochs), len(curves), int(epochs[at]), *own, mean[at], mean[-1]])
    return pd.DataFrame(rows, columns=COLUMNS)


def answer(found: Epochs, table: pd.DataFrame, claims: pd.DataFrame, ranks: pd.DataFrame) -> str:
    """Returns the paragraph, "" if no accuracy was measured. table: of `best_epochs`; claims: of epoch_claims; ranks:
    of `ranking`."""
    rows = {row["key"]: row for _, row in claims.iterrows()}
    sentences = [*_best(found, table), *_falls(rows), *_ranked(ranks)]
    return " ".join([*sentences, _known(found)]) if sentences else ""


def _best(found: Epochs, table: pd.DataFrame) -> Iterator[str]:
    if table.empty:
        return
    parts = [_epoch(row) for _, row in table.iterrows()]
    first, last = found.epochs[0], found.epochs[-1]
    yield f"Of {len(found.epochs)} epochs of pre-training from {first} to {last}, the best is {'; '.join(parts)}."


def _epoch(row: pd.Series) -> str:
    for_what = HOW[row["quantity"]]
    if isnan(row["mean"]):
        return f"none for {for_what}, as all are equal"
    seeds = "" if isnan(row["low"]) else f" (single seeds: {_numbers(row, 'mean', 'low', 'high')})"
    return f"{row['best']} for {for_what}{seeds}"


def _falls(rows: dict[str, pd.Series]) -> Iterator[str]:
    for fe in ("fe", "fe_converged"):
        if (row := rows.get(f"epochs/fall/{fe}")) is None:
            continue
        if row["why"] == LAST:
            yield f"{TARGETS[fe]} has its best epoch at the end: there is nothing to fall from."
        if isnan(row["low"]):
            continue
        points = "{:.2g} points [{:.2g}, {:.2g}]".format(*(100 * row[name] + 0.0 for name in ("mean", "low", "high")))
        yield {
            MET: f"After its best epoch {TARGETS[fe]} falls, by {points}.",
            NOT_MET: f"{TARGETS[fe]} does not fall after its best epoch ({points}).",
        }.get(row["verdict"], f"Whether {TARGETS[fe]} falls after its best epoch is undecided ({points}).")


def _ranked(ranks: pd.DataFrame) -> Iterator[str]:
    for target in TARGETS:
        rows = best_of(ranks, target)
        if len(rows) < 2:
            continue
        first, others = rows.iloc[0], [row for _, row in rows.iloc[1:].iterrows()]
        text = f"The epochs' order by {TARGETS[target]} is told best by {_ranker(first)}"
        scores = [row for row in others if row["ranker"] not in TRIVIAL]
        if first["ranker"] in TRIVIAL and scores:
            yield f"{text}, which takes no score: of the scores the best is {_ranker(scores[0])}."
            continue
        trivial = [row for row in others if row["ranker"] in TRIVIAL]
        yield f"{text}; of what takes no score, by {_ranker(trivial[0])}." if trivial else f"{text}."


def _ranker(row: pd.Series) -> str:
    return f"{RANKERS[row['ranker']]} (tau {_numbers(row, 'tau', 'tau_low', 'tau_high')}, p {row['p']:.2g})"


def _numbers(row: pd.Series, *names: str) -> str:
    value, low, high = (f"{row[name] + 0.0:.2g}" for name in names)
    return value if np.isnan(row[names[1]]) else f"{value} [{low}, {high}]"


def _known(found: Epochs) -> str:
    runs, seeds = len(found.places), len(found.seeds)
    if seeds < 2:
        return f"This is of {runs} runs with one combination of seeds: what others would give, it does not say."
    return f"This is known over {runs} runs, {seeds} combinations of seeds: {found.level}."
