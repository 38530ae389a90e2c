"""TensorBoard and CSV files in place of W&B, by Lightning's loggers."""

import csv
from pathlib import Path

import numpy as np
import pytest
from omegaconf import OmegaConf
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tracking.about import About
from tracking.loggers import opened


@pytest.fixture
def about(tmp_path: Path) -> About:
    return About("0123456789ab", tmp_path / "result", tmp_path / "run", "digits", "finetune", "seed=0 finetune",
                 ("tiny",), {"finetune": {"lr": 0.1}})  # fmt: skip


def log(kind: str, about: About, epochs: int) -> Path:
    picture = about.place / "curve.png"
    picture.parent.mkdir(exist_ok=True)
    Image.fromarray(np.full((4, 6, 3), 200, np.uint8)).save(picture)
    with opened(OmegaConf.create({"logger": kind}), about) as tracker:
        track = tracker.rows()
        for epoch in range(epochs):
            track({"epoch": epoch, "train/loss": float("nan") if epoch == 0 else 1 / epoch, "test/loss": 2.0})
        tracker.series("decomposition", "d", "order", [{"order": 3, "decomposition/new": 0.25}])
        tracker.summary({"preserved_share": 0.4, "verdict/ratio/paper": "met"})
        tracker.pictures({"figures/ratio": [(picture, None)]})
        tracker.files("checkpoints", about.folder, ("*.pt",))
    return about.place / kind / "finetune"


def test_tensorboard_has_curves_numbers_and_pictures(about: About) -> None:
    log("tensorboard", about, 4)
    events = EventAccumulator(str(log("tensorboard", about, 3))).Reload()  # the second attempt alone
    scalars = {tag: [(event.step, event.value) for event in events.Scalars(tag)] for tag in events.Tags()["scalars"]}
    assert scalars["train/loss"] == [(1, 1.0), (2, 0.5)]
    assert scalars["decomposition/new"] == [(3, 0.25)]
    assert scalars["preserved_share"][0][1] == pytest.approx(0.4)
    assert events.Tags()["images"] == ["figures/ratio"]


def test_csv_has_a_row_for_each_epoch(about: About) -> None:
    log("csv", about, 4)
    with (log("csv", about, 3) / "metrics.csv").open(newline="") as content:
        rows = list(csv.DictReader(content))
    assert [(row["step"], row["train/loss"]) for row in rows if row["test/loss"]] == [
        ("0", ""),
        ("1", "1.0"),
        ("2", "0.5"),
    ]
    assert [row["decomposition/new"] for row in rows if row["decomposition/new"]] == ["0.25"]
    assert "lr: 0.1" in (about.place / "csv" / "finetune" / "hparams.yaml").read_text()
