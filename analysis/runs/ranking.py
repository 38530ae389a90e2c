"""Does a score that needs no training rank the epochs as their accuracy does? And does a trivial one as well?

Published scores are set beside what costs nothing: the source accuracy, and the epoch itself. A score that ranks the
epochs no better than "the later, the better" has told nothing.
"""

import numpy as np
import pandas as pd

from analysis.runs.epochs import EPOCH, FEWEST, TARGETS, Epochs
from analysis.statistics.curves import interval, pearson, permutation_p, regret, step, tau

NAME, QUESTION = "ranking", "Does any score rank the epochs of pre-training as their accuracy does?"
RANKERS = {
    EPOCH: "the epoch itself",
    "source": "source accuracy",
    "logme": "LogME",
    "h_score": "H-score",
    "leep": "LEEP",
    "nce": "NCE",
    "knn": "nearest neighbours",
}
TRIVIAL = (EPOCH, "source")  # first among equals: what is no better than they are has told nothing
DIGITS = 9  # equal ones may be rounded in another way
COLUMNS = ["tau", "pearson", "regret"]  # each with its interval


def ranking(found: Epochs) -> pd.DataFrame:
    """Returns a row for each target and ranker, the best ranker of a target first: target, ranker, epochs, seeds, then
    tau, pearson and regret with _low and _high, and p. seeds: those that differ in one of the two."""
    pairs = [(target, ranker) for target in TARGETS for ranker in RANKERS if found.has(target, ranker)]
    rows = [row for pair in pairs if (row := _row(found, *pair))]
    table = pd.DataFrame(rows, columns=["target", "ranker", "epochs", "seeds", *_columns(), "p"])
    place = table["target"].map({target: place for place, target in enumerate(TARGETS)})
    return table.iloc[np.lexsort((-table["tau"].round(DIGITS), place))].reset_index(drop=True)


def _columns() -> list[str]:
    return [f"{name}{end}" for name in COLUMNS for end in ("", "_low", "_high")]


def _row(found: Epochs, target: str, ranker: str) -> dict[str, object] | None:
    epochs, accuracy, score = found.together(target, ranker)
    if len(epochs) < FEWEST or not len(accuracy):
        return None
    numbers = [
        *interval(tau(score, accuracy), step(len(epochs)), (-1, 1)),
        *interval(pearson(score, accuracy), 0.0, (-1, 1)),
        *interval(np.where(np.ptp(score, 1) > 0, regret(score, accuracy), np.nan), 0.0, (0, 1)),
    ]
    about = {"target": target, "ranker": ranker, "epochs": len(epochs), "seeds": len(accuracy)}
    return about | dict(zip(_columns(), numbers, strict=True)) | {"p": permutation_p(score, accuracy)}


def best_of(table: pd.DataFrame, target: str) -> pd.DataFrame:
    """Returns a target's rows that have a tau, the best first."""
    return table[(table["target"] == target) & table["tau"].notna()]
