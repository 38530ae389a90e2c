"""What the mirror of a summary gets: the claims of each setting, and the best epochs of pre-training."""

import pandas as pd
from hand_made import claims

from analysis.runs.mirrored import _numbers


def test_one_setting_has_the_keys_of_a_run() -> None:
    table = claims(0.3).assign(setting="")
    found = _numbers({"claims": table})
    row = table.set_index("key").loc["ratio/paper"]
    assert (found["ratio/paper"], found["ratio/paper/low"]) == (row["mean"], row["low"])
    assert found["ratio/paper/sign"] == row["sign"]
    assert found["verdict/ratio/paper"] == row["verdict"]


def test_several_settings_stand_before_their_keys() -> None:
    both = [claims(level).assign(setting=f"finetune.lr={level}") for level in (0.1, 0.2)]
    found = _numbers({"claims": pd.concat(both)})
    assert "ratio/paper" not in found
    assert found["finetune.lr=0.1/ratio/paper"] < found["finetune.lr=0.2/ratio/paper"]


def test_the_best_epochs_of_pre_training() -> None:
    rows = [("fe", 2, 1.5, 1.0, 3.0), ("ft", 4, 4.0, float("nan"), float("nan"))]
    found = _numbers({"epochs": pd.DataFrame(rows, columns=["quantity", "best", "mean", "low", "high"])})
    assert {key: found[key] for key in ("best_fe_epoch", "best_fe_epoch/low", "best_fe_epoch/high")} == {
        "best_fe_epoch": 2, "best_fe_epoch/low": 1.0, "best_fe_epoch/high": 3.0}  # fmt: skip
    assert found["best_ft_epoch"] == 4
