"""The answer over runs of many pre-training epochs, in sentences: which epoch is best, and which score says so.

Of 6 epochs of pre-training from 1 to 40, the best is 5 for frozen features with a fixed number of steps (best in 4 of 5
seeds; 5.9 points above the last epoch); 40 for fine-tuning (the last one; best in 5 of 5 seeds). After its best epoch
FE with a fixed number of steps falls, by 5.7 points [5.5, 5.9]. Rankers of the epochs, by
Kendall's tau with the accuracy (1: the same order, 0: nothing to do with it). FT: highest is the epoch itself
(1 [0.95, 1], p 0.0028); of the scores, H-score (1 [0.95, 1], p 0.0028). The epoch that each puts first loses 0 and 0
points. No ranker is shown to be better: the intervals overlap. This is known over 30 runs, 5 combinations of seeds:
other pre-trainings on the same data.
"""

from collections.abc import Iterator
from math import isnan

import numpy as np
import pandas as pd

from analysis.claims import MET, NOT_MET
from analysis.runs.epoch_claims import ALPHA, EQUAL, LAST
from analysis.runs.epochs import TARGETS, Epochs
from analysis.runs.ranking import RANKERS, TRIVIAL, best_of
from analysis.statistics.curves import best, best_in, highest, interval, width

HOW = {
    "fe": "frozen features with a fixed number of steps",
    "fe_converged": "frozen features with a converged head",
    "ft": "fine-tuning",
}
TAU = "Rankers of the epochs, by Kendall's tau with the accuracy (1: the same order, 0: nothing to do with it)."
COLUMNS = [
    "quantity",
    "epochs",
    "seeds",
    "best",
    "as_good",
    "best_in",
    "flat",
    "mean",
    "low",
    "high",
    "accuracy",
    "at_last",
]


def best_epochs(found: Epochs) -> pd.DataFrame:
    """Returns for each kind of transfer the first epoch where the mean curve is highest (`best`), the others that are
    as good, in how many seeds the same epochs are the best (best_in), how many are the same at all epochs (flat), the
    mean of the seeds' own best epochs with its interval, and the mean accuracy at the best and at the last epoch."""
    rows = []
    for target in [name for name in TARGETS if found.has(name)]:
        epochs, curves = found.together(target)
        if len(curves):
            mean = curves.mean(0)
            own = interval(best(curves, epochs), width(curves, epochs), (epochs[0], epochs[-1]))
            at, *others = np.flatnonzero(highest(mean))
            as_good, flat = ", ".join(f"{epochs[other]:g}" for other in others), int(highest(curves).all(1).sum())
            about = [int(epochs[at]), as_good, best_in(curves), flat]
            rows.append([target, len(epochs), len(curves), *about, *own, mean[at], mean[-1]])
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
    first, last = found.epochs[0], found.epochs[-1]
    parts = [_epoch(row, last) for _, row in table.iterrows()]
    yield f"Of {len(found.epochs)} epochs of pre-training from {first} to {last}, the best is {'; '.join(parts)}."


def _epoch(row: pd.Series, last: int) -> str:
    for_what, share = HOW[row["quantity"]], f"{100 * row['accuracy']:.4g} %"
    every = [str(row["best"]), *filter(None, row["as_good"].split(", "))]
    if len(every) == row["epochs"]:
        return f"none for {for_what}, as all are equal ({share})"
    alike = len(every) > 1
    seeds = f"{'alike' if alike else 'best'} in {row['best_in']} of {row['seeds']} seeds" * (row["seeds"] > 1)
    flat = f"in {row['flat']} all epochs are equal" * (row["flat"] > 0)
    at = f"no one is better at {share}" * alike
    above = f"{100 * (row['accuracy'] - row['at_last']):.2g} points above the last epoch"
    after = ("one is the last" if alike else "the last one") if str(last) in every else above
    said = "; ".join(filter(None, [seeds, flat, at, after]))
    return f"{' and '.join(every)}{' alike' * alike} for {for_what} ({said})"


def _falls(rows: dict[str, pd.Series]) -> Iterator[str]:
    for fe in ("fe", "fe_converged"):
        if (row := rows.get(f"epochs/fall/{fe}")) is None:
            continue
        if row["why"] == LAST:
            yield f"{TARGETS[fe]} has its best epoch at the end: there is nothing to fall from."
        if row["why"] == EQUAL:
            yield f"Whether {TARGETS[fe]} falls after its best epoch is not measurable: {EQUAL}."
        if isnan(row["low"]):
            continue
        points = "{:.2g} points [{:.2g}, {:.2g}]".format(*(100 * row[name] + 0.0 for name in ("mean", "low", "high")))
        yield {
            MET: f"After its best epoch {TARGETS[fe]} falls, by {points}.",
            NOT_MET: f"{TARGETS[fe]} does not fall after its best epoch ({points}).",
        }.get(row["verdict"], f"Whether {TARGETS[fe]} falls after its best epoch is undecided ({points}).")


def _ranked(ranks: pd.DataFrame) -> Iterator[str]:
    """Says which ranker comes first, and which of the other kind: rankers that take no score, or scores."""
    tables = {target: rows for target in TARGETS if len(rows := best_of(ranks, target)) > 1}
    if tables:
        yield TAU
    for target, rows in tables.items():
        first, free = rows.iloc[0], rows["ranker"].isin(TRIVIAL)
        others = rows[free != free.iloc[0]]
        second = (others if len(others) else rows.iloc[1:]).iloc[0]
        which = ("of the scores" if free.iloc[0] else "of those that take no score") if len(others) else "then"
        if first["tau"] <= 0:
            yield f"{TARGETS[target]}: none ranks them so; the highest tau is that of {_ranker(first)}."
            continue
        none = "none: the highest is " if second["tau"] <= 0 else ""
        yield f"{TARGETS[target]}: highest is {_ranker(first)}; {which}, {none}{_ranker(second)}."
        yield f"The epoch that each puts first loses {_lost(first)} and {_lost(second)} points."
        yield _better(first, second)


def _better(first: pd.Series, second: pd.Series) -> str:
    """NaN, as of one seed, shows nothing."""
    if first["p"] < ALPHA and first["tau_low"] > second["tau_high"]:
        return f"{_capital(RANKERS[first['ranker']])} is shown to rank them better than {RANKERS[second['ranker']]}."
    why = f"p is {ALPHA} or more" if first["p"] >= ALPHA else "the intervals overlap"
    return f"No ranker is shown to be better{'' if isnan(first['tau_low']) else f': {why}'}."


def _ranker(row: pd.Series) -> str:
    return f"{RANKERS[row['ranker']]} ({_numbers(row, 'tau', 'tau_low', 'tau_high')}, p {row['p']:.2g})"


def _lost(row: pd.Series) -> str:
    return f"{100 * row['regret'] + 0.0:.2g}"


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


def _numbers(row: pd.Series, *names: str) -> str:
    value, low, high = (f"{row[name] + 0.0:.2g}" for name in names)
    return value if np.isnan(row[names[1]]) else f"{value} [{low}, {high}]"


def _known(found: Epochs) -> str:
    runs, seeds = len(found.places), len(found.seeds)
    if seeds < 2:
        return f"This is of {runs} runs with one combination of seeds: what others would give, it does not say."
    return f"This is known over {runs} runs, {seeds} combinations of seeds: {found.level}."
