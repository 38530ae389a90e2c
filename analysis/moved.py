"""What a run says of how far its layers move, in a sentence that is made from the table `cka`.

    Which layers move most and least, by CKA at the last epoch (1: not at all): in fine-tuning, from the pre-trained
    model, logits (0.31 [0.28, 0.34]) and block1 (0.99 [0.98, 0.99], less than in a random move of the weights).

The most and the least are those of this run: what is beside each says whether a random move does the same.
"""

from math import isnan

import pandas as pd

from analysis.claims import compared
from analysis.told import interval

MEASURE, QUANTITY = "cka", "cka"
ROLES = {"pretrain": "in pre-training", "finetune": "in fine-tuning", "scratch": "from scratch"}
MODELS = {"initial": "the untrained model", "pretrain": "the pre-trained model", "finetune": "the fine-tuned model",
          "scratch": "the model trained from scratch"}  # fmt: skip
# an excess of CKA over that after a random move: where it is less, the layer has moved more
BEYOND = {"less": "more than in a random move of the weights", "more": "less than in a random move of the weights"}
OPENING = "Which layers move most and least, by CKA at the last epoch (1: not at all)"
STILL = 1e-6  # of CKA: rounding


def moved(table: pd.DataFrame) -> str:
    """Returns the sentence, "" if no model was trained. table: of `cka`."""
    rows = table[(table["quantity"] == QUANTITY) & table["mean"].notna()]
    parts = [_of_role(role, of) for role, of in rows.groupby("model", sort=False) if of["epoch"].max() > 0]
    return f"{OPENING}: {'; '.join(parts)}." if parts else ""


def _of_role(role: str, rows: pd.DataFrame) -> str:
    """Describes the last epoch of a model, beside the first of those that it is compared with."""
    other = rows["against"].iloc[0]
    rows = rows[(rows["against"] == other) & (rows["epoch"] == rows["epoch"].max())]
    opening = f"{ROLES.get(role, role)}, from {_model(other)},"
    most, least = rows.loc[rows["mean"].idxmin()], rows.loc[rows["mean"].idxmax()]
    if most["mean"] > 1 - STILL:
        return f"{opening} no layer moves"
    layers = [most] if most["mean"] == least["mean"] else [most, least]
    return f"{opening} {' and '.join(map(_layer, layers))}"


def _model(other: str) -> str:
    name, _, epoch = other.partition("@")
    return MODELS.get(name, name) + (f" at epoch {epoch}" if epoch else "")


def _layer(row: pd.Series) -> str:
    return f"{row['layer']} ({interval(row, digits=2)}{_beyond(row)})"


def _beyond(row: pd.Series) -> str:
    """Compares a layer with the same after a random move, "" where there is none."""
    excess = row.get("random_excess", float("nan"))
    if isnan(excess) or isnan(row["random_low"]):
        return ""
    found = compared(row["random_low"], row["random_high"], row["mean"])
    return f", {BEYOND.get(found, 'from a random move of the weights no difference is shown')}"
