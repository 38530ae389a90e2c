"""What a run says of how far its layers move, on a table that is made by hand."""

import numpy as np
import pandas as pd

from analysis.moved import OPENING, moved
from analysis.report.opening import how_to_read, question

LAYERS = ("block1", "block2", "logits")


def table(*of: tuple) -> pd.DataFrame:
    """of: model, against, epoch, CKA of each layer, and of each the level after a random move."""
    rows = [("cka", model, against, layer, epoch, mean, mean - 0.01, mean + 0.01, mean - level)
            for model, against, epoch, means, levels in of
            for layer, mean, level in zip(LAYERS, means, levels, strict=True)]  # fmt: skip
    rows += [(("calibrated", *row[1:5], -1.0, *row[6:])) for row in rows]
    names = ["quantity", "model", "against", "layer", "epoch", "mean", "low", "high", "random_excess"]
    found = pd.DataFrame(rows, columns=names)
    return found.assign(random_low=found["random_excess"] - 0.01, random_high=found["random_excess"] + 0.01)


START = (1.0, 1.0, 1.0)
BEYOND = "than in a random move of the weights"


def test_it_names_the_layers_that_move_most_and_least_beside_a_random_move():
    said = moved(table(
        ("finetune", "pretrain", 0, START, START),
        ("finetune", "pretrain", 3, (0.9, 0.5, 0.7), (0.8, 0.6, 0.7)),
        ("finetune", "initial", 3, (0.1, 0.2, 0.3), START),
        ("scratch", "finetune@2", 3, (0.9, 0.8, 0.3), (0.9, 0.9, np.nan)),
    ))  # fmt: skip
    assert said == (
        f"{OPENING}: in fine-tuning, from the pre-trained model, block2 (0.5 [0.49, 0.51], more {BEYOND}) and block1 "
        f"(0.9 [0.89, 0.91], less {BEYOND}); from scratch, from the fine-tuned model at epoch 2, logits (0.3 "
        f"[0.29, 0.31]) and block1 (0.9 [0.89, 0.91], from a random move of the weights no difference is shown)."
    )


def test_nothing_that_did_not_move_is_said_to():
    still = table(("finetune", "pretrain", 0, START, START), ("finetune", "pretrain", 3, START, START))
    assert moved(still) == f"{OPENING}: in fine-tuning, from the pre-trained model, no layer moves."
    assert moved(still[still["epoch"] == 0]) == ""
    assert moved(still.assign(mean=np.nan)) == ""


def test_the_report_has_the_title_of_what_is_measured():
    assert question(["cka", "training"], False) == question(["cka"], False) == "how far does each layer move?"
    assert question(["training"], False) == question(["cka", "transfer"], False) == "what is pre-training worth?"
    assert question(["cka", "ratio"], True) == "why does pre-training help?"
    assert "interactions" not in how_to_read(False)
    assert how_to_read(True).count("\n\n") == 2
