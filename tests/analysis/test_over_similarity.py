"""What runs that compare layers add to a summary: from their folders to the report."""

import csv
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hand_made import HandMade, claims
from hydra import compose, initialize_config_dir

from analysis.summarise import summarise
from conf import schema

CONF = Path(__file__).resolve().parents[2] / "conf"
LAYERS = ("block1", "block2", "block3", "logits")
PAIRS = (("scratch", "initial"), ("finetune", "pretrain"), ("finetune", "initial"))
SIZES = (20, 80)
schema.register()


@pytest.fixture(scope="module")
def default():
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose("config")


@pytest.fixture
def make(default, tmp_path):
    return HandMade(default, tmp_path / "outputs")


def similarity(seed: int, moved: float, pairs=PAIRS, epochs=(0, 1, 2)) -> pd.DataFrame:
    draw, rows = np.random.default_rng([seed, int(1000 * moved)]), []
    for (model, against), epoch in product(pairs, epochs):
        for at, layer in enumerate(LAYERS):
            value = 1 - (moved * (at + 1) * epoch / 8 + 0.002 * draw.normal()) * (epoch > 0)
            level = 1 - 0.02 * at if epoch and layer != "logits" else np.nan
            rows.append(("cka", model, against, layer, epoch, value, level))
            if epoch == epochs[-1]:
                rows.append(("calibrated", model, against, layer, epoch, value - 0.1, np.nan))
    found = pd.DataFrame(rows, columns=["quantity", "model", "against", "layer", "epoch", "mean", "random"])
    excess = found["mean"] - found["random"]
    ends = {"low": found["mean"] - 0.01, "high": found["mean"] + 0.01}
    found = found.assign(**ends, random_excess=excess, random_low=excess - 0.01, random_high=excess + 0.01)
    return found[["quantity", "model", "against", "layer", "epoch", "mean", "low", "high", "random", "random_excess",
                  "random_low", "random_high"]]  # fmt: skip


@pytest.fixture
def swept(make):
    """Runs with numbers of training samples, the fewest of which move layers most, and three seeds."""
    return [make({"cka": similarity(seed, 8 / size), "claims": claims(0.3)}, data__target__train_samples=size,
                 seeds__train=seed) for size, seed in product(SIZES, range(3))]  # fmt: skip


def rows(file: Path) -> list[dict]:
    with file.open(newline="") as content:
        return list(csv.DictReader(content))


def test_a_sweep_over_conditions_has_its_table_figures_claims_and_answer(swept, capsys):
    folder = summarise(swept)
    out = " ".join(capsys.readouterr().out.split())
    names = {path.name for path in (folder / "figures").iterdir()}
    assert {f"{name}.{kind}" for name in ("cka", "cka_epochs", "cka_starts") for kind in ("png", "svg")} <= names
    table = rows(folder / "tables" / "similarity.csv")
    assert list(table[0]) == ["data.target.train_samples", "quantity", "model", "against", "layer", "runs", "mean",
                              "standard_error", "low", "high", "random", "another_training"]  # fmt: skip
    assert len(table) == 2 * 3 * (4 + 3 + 4), "two settings; cka, excess (not of logits), calibrated"
    assert {row["runs"] for row in table} == {"3"}
    judged = rows(folder / "tables" / "claims.csv")
    assert judged[0]["key"] == "similarity/early/scratch/excess"
    assert {row["setting"] for row in judged if row["measure"] == "similarity"} == {"over conditions"}
    assert [row["key"] for row in judged].count("ratio/paper") == 2, "those of each setting stay"
    assert "Met, in brackets how far CKA is apart beyond a random move of the weights: early layers" in out
    text = (folder / "report.html").read_text()
    for question in ("How far do the layers move?", "When do the layers move?",
                     "Is the fine-tuned model closer to the pre-trained or to the initial one?"):  # fmt: skip
        assert f"<h2>{question}</h2>" in text
    assert "no two runs of a setting share a pre-training" in text
    assert "early layers (block1) nearly as they are" in text
    assert "dark ones are early layers (block1)" in text
    assert "Similarity of pre-trained and fine-tuned representations" in text


def test_a_sweep_over_anything_else_has_figures_and_no_claims(make, capsys):
    places = [make({"cka": similarity(seed, 0.1 + 10 * rate, PAIRS[:1], (0, 3))}, finetune__lr=rate, seeds__train=seed)
              for rate, seed in product((0.001, 0.01), range(2))]  # fmt: skip
    line = "how far layers move in each condition: not measurable; the runs differ in finetune.lr as well"
    more = make({"cka": similarity(0, 0.1, PAIRS[:1], (0, 3))}, finetune__lr=0.01, data__target__train_samples=20)
    summarise([*places, more])
    assert line in capsys.readouterr().out, "these are conditions, too"
    folder = summarise(places)
    assert line not in capsys.readouterr().out
    assert not (folder / "tables" / "claims.csv").exists()
    assert {path.stem for path in (folder / "figures").iterdir()} == {"cka", "cka_epochs"}
    assert {row["finetune.lr"] for row in rows(folder / "tables" / "similarity.csv")} == {"0.001", "0.01"}


def test_one_epoch_has_no_figure_over_epochs_and_one_run_no_verdict(make, capsys):
    folder = summarise([make({"cka": similarity(0, 0.2, PAIRS, (2,))})])
    assert {path.stem for path in (folder / "figures").iterdir()} >= {"cka", "cka_starts"}
    assert not (folder / "figures" / "cka_epochs.svg").exists()
    judged = rows(folder / "tables" / "claims.csv")
    assert {row["verdict"] for row in judged} == {"undecided"}
    assert "one combination of seeds" in capsys.readouterr().out


def test_more_settings_than_colours_have_the_figure_of_any_measure(make):
    places = [make({"cka": similarity(0, 0.2, PAIRS[:1], (2,))}, data__target__train_samples=20 * size)
              for size in range(1, 15)]  # fmt: skip
    text = (summarise(places) / "report.html").read_text()
    assert "How far do the layers move?" not in text
    assert "<h2>cka</h2>" in text
