"""What several views of the same checkpoints say, in sentences: the paragraph, and what stands below the figure.

4 views of 30 pairs of checkpoints, pre-trained for 1 to 20 epochs and fine-tuned. As pre-training goes on, 2 rise
(LogME; accuracy, frozen features (FE)), 1 falls (knowledge preserved), in 1 no trend is shown (F_m beyond a random
subspace). Views with a common trend rank the epochs alike, whether or not they have anything to do with each other.
Beyond it, of 6 pairs of views 1 agree (LogME and accuracy, frozen features (FE), z 3.1, p 0.025). Of the others this is
not shown, which does not show that they disagree.
"""

from collections.abc import Iterator
from math import factorial

import pandas as pd

from analysis.runs.agree import ALPHA, agreeing, lacks
from analysis.runs.epochs import EPOCH, Epochs
from analysis.runs.views import of_name

QUESTION = (
    "Do several views of the same checkpoints agree: interactions, similarity of layers, spectrum, scores, accuracy?"
)
TREND = "Views with a common trend rank the epochs alike, whether or not they have anything to do with each other."
CAPTION = (
    "Left: each row is a view of the same pairs of checkpoints, one pre-trained up to that epoch, and the one "
    "fine-tuned from it. Numbers are means over seeds, the darker the higher within their row; a ring marks the "
    "highest, and does not show that it is higher than the next one (tables/views.csv has the intervals). CKA is 1 "
    "where fine-tuning has not moved a layer, 0 where the images could as well be exchanged; the mean of layers "
    "leaves the logits out. Right: Kendall's tau of two views over the epochs, in the same seed, and of each view "
    "with the epoch itself: 1 if they rank the epochs alike, -1 if the other way round. That shows little, as most "
    "views have a trend. {} Fine-tuned accuracy is the benefit over training from scratch as well: within a seed the "
    "two differ by a constant."
)
DOTS = (
    "A dot (a cross) marks views that agree (go against each other) beyond it: a seed that lies above the mean of all "
    "seeds in one view at some epoch does so (does not) in the other (p below 0.05, trajectories exchanged among "
    "seeds, adjusted for the number of pairs). Tested are views of different kinds; a single layer is not."
)


def words(name: str) -> str:
    return of_name(name).words


def paragraph(found: Epochs, trends: pd.DataFrame, pairs: pd.DataFrame) -> str:
    """trends, pairs: as analysis/runs/agree.py makes them."""
    return " ".join([*_trends(found, trends), *_pairs(pairs), *_known(found)])


def caption(pairs: pd.DataFrame) -> str:
    """Returns what stands below the figure: what dots mean, or why there are none."""
    return CAPTION.format(DOTS if not (why := note(pairs)) else f"{why[0].upper()}{why[1:]}.")


def note(pairs: pd.DataFrame) -> str:
    """Returns what the figure says where it has no dots, "" if it has some."""
    if why := lacks(pairs):
        return f"agreement beyond the trend is not tested: {why}"
    return "" if len(agreeing(pairs)) else "no two views are shown to agree beyond the common trend"


def _trends(found: Epochs, trends: pd.DataFrame) -> Iterator[str]:
    rows = trends[trends["view"] != EPOCH]
    of = f"{found.epochs[0]} to {found.epochs[-1]} epochs"
    yield f"{len(rows)} views of {len(found.places)} pairs of checkpoints, pre-trained for {of} and fine-tuned."
    most = int(rows["epochs"].max())
    if (least := 2 / factorial(most)) >= ALPHA:
        yield f"With {most} epochs no trend can be shown: the smallest possible p is {least:.2g}."
        return
    shown = (rows["p"] < ALPHA) & ~(rows["tau_low"] * rows["tau_high"] <= 0)  # NaN, of one seed, is no interval
    sides = (("rise", shown & (rows["tau"] > 0)), ("fall", shown & (rows["tau"] < 0)))
    parts = [f"{side.sum()} {verb}{'s' * int(side.sum() == 1)} ({_listed(rows.loc[side, 'view'])})"
             for verb, side in sides if side.any()]  # fmt: skip
    if not shown.all():
        parts.append(f"in {(~shown).sum()} no trend is shown ({_listed(rows.loc[~shown, 'view'])})")
    yield f"As pre-training goes on, {', '.join(parts)}."


def _pairs(pairs: pd.DataFrame) -> Iterator[str]:
    if not len(pairs):
        return
    yield TREND
    if why := lacks(pairs):
        yield f"Whether they agree beyond it is not measurable: {why}."
        return
    tested, clear = int(pairs["p_adjusted"].notna().sum()), agreeing(pairs)
    if not len(clear):
        yield f"Beyond it, none of {tested} pairs of views is shown to agree, which does not show that they disagree."
        return
    both = [(sign, clear[clear["z"] * side > 0]) for sign, side in (("agree", 1), ("go against each other", -1))]
    parts = [f"{len(of)} {sign} ({'; '.join(map(_pair, of.itertuples()))})" for sign, of in both if len(of)]
    yield f"Beyond it, of {tested} pairs of views {' and '.join(parts)}."
    if len(clear) < tested:
        yield "Of the others this is not shown, which does not show that they disagree."
    if unsure := [f"{words(row.view)} and {words(row.other)}" for row in clear.itertuples() if row.p_shape >= ALPHA]:
        yield f"Without each seed's own level, which may be that of its data, nothing is left of: {'; '.join(unsure)}."


def _pair(row: object) -> str:
    return f"{words(row.view)} and {words(row.other)}, z {row.z:.2g}, p {row.p_adjusted:.2g}"


def _known(found: Epochs) -> Iterator[str]:
    seeds = len(found.seeds)
    if seeds > 1:
        yield f"What differs between the {seeds} combinations of seeds: {found.level}."
    else:
        yield "This is of one combination of seeds: what others would give, it does not say."


def _listed(names: pd.Series) -> str:
    return "; ".join(words(name) for name in names)
