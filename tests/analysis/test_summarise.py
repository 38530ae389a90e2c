"""Runs side by side, from their folders to the report."""

import csv
import json
import os
import re
import threading
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hand_made import HandMade, claims, decomposition, jaccard, ratio
from hydra import compose, initialize_config_dir

from analysis.claims import Claim, as_table, ordered
from analysis.runs.found import read
from analysis.statistics.estimate import Estimate, jackknife
from analysis.summarise import main, place_of, summarise
from conf import schema
from stages.files import beside
from stages.locks import locked

CONF = Path(__file__).resolve().parents[2] / "conf"
RATES = (1e-3, 1e-2)
schema.register()


@pytest.fixture(scope="session")
def default():
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose("config")


@pytest.fixture
def make(default, tmp_path):
    return HandMade(default, tmp_path / "outputs")


def tables(level, *more):
    return {"ratio": ratio(level), "claims": claims(level), **dict(more)}


def rows(file: Path) -> list[dict]:
    with file.open(newline="") as content:
        return list(csv.DictReader(content))


def test_a_sweep_is_summed_up(make, capsys):
    """Two settings, three seeds; a run that is the copy of another, and one without an analysis."""
    places = [make(tables(0.2 + rate + seed / 100), finetune__lr=rate, seeds__train=seed, finished=str(seed))
              for rate in RATES for seed in range(3)]  # fmt: skip
    copy, begun = make(tables(0.9), digest="digest1"), make({}, seeds__train=9)
    (begun / "analysis" / "done.json").unlink()
    folder = summarise([*places, copy, begun])
    out = capsys.readouterr().out
    assert folder == make.outputs / "digits" / "summary"
    assert out.splitlines()[-1] == f"summary: {folder / 'report.html'}"
    assert f"left out: {begun}: it has no complete analysis" in out
    assert re.search(
        r"finetune.lr=0.01: met; 0.22 \[0.195, 0.245\], met; sign 0.1 \(more\); met in 3 of 3$", out, flags=re.M
    )
    assert "    finetune.lr=0.01: met" in out
    assert "undecided in 3 of 3" in out
    listed = rows(folder / "runs.csv")
    assert [row["used"] for row in listed] == 6 * ["yes"] + 2 * ["no"]
    assert [row["run"] for row in listed] == [str(place) for place in (*places, copy, begun)]
    assert [row["seeds.train"] for row in listed][:3] == ["0", "1", "2"]
    over = rows(folder / "tables" / "ratio.csv")
    assert [(row["finetune.lr"], row["runs"]) for row in over[::3]] == [("0.001", "3"), ("0.01", "3")]
    assert len(rows(folder / "tables" / "ratio_by_run.csv")) == 18
    text = (folder / "report.html").read_text()
    assert "<title>digits: 6 runs side by side, by finetune.lr</title>" in text
    assert "scratch.lr (0.001, 0.01): differs with finetune.lr" in text
    assert "other trainings from one pre-training, on the same samples" in text
    assert str(copy) in text
    assert "Caption of ratio." in text
    assert not re.search(r'src="(?!data:)|href="(?!https://arxiv.org/abs/2410.08455")', text), "it opens offline"


def graded(arm, seed):
    """A run that gains half of what it preserves beyond the task; the runs of a seed share a level."""
    excess = {"nothing": 0.0, "shuffled": 0.01, 1: 0.03, 2: 0.05, "all": 0.08}[arm] + (
        seed * 7 + len(str(arm))
    ) % 3 / 1e3
    shown = [Claim(key, key, "a quantity", Estimate(jackknife((np.array([mean - 0.01, mean + 0.01]),))), above=0)
             for key, mean in (("accuracy/gain", excess / 2 + seed / 10), ("preserved/task", excess))]  # fmt: skip
    return {"ratio": ratio(0.3), "claims": ordered(as_table("accuracy", shown)[0])}


def test_graded_starts_say_whether_who_preserves_more_gains_more(make, capsys):
    places = [make(graded(arm, seed), start__transfer=arm, seeds__train=seed, finished=str(seed))
              for seed in range(3) for arm in ("nothing", "shuffled", 1, 2, "all")]  # fmt: skip
    folder = summarise(places)
    out = capsys.readouterr().out.splitlines()
    (said,) = [line for line in out if line.startswith("models that preserve more gain more: ")]
    found = rows(folder / "tables" / "benefit.csv")
    assert [row["arms"] for row in found] == ["all", "without shuffled"]
    assert float(found[0]["mean"]) == pytest.approx(0.5)
    assert len(rows(folder / "tables" / "benefit_by_run.csv")) == 15
    assert (folder / "figures" / "benefit.svg").exists()
    text = (folder / "report.html").read_text()
    assert "<h2>Do models that preserve more gain more?</h2>" in text
    assert f"Verdict: {said.split(': ')[1].split(';')[0]} (" in text
    summarise(places[:5])
    assert not (folder / "tables" / "benefit.csv").exists(), "one seed alone"


def from_epoch(epoch, seed):
    """A run whose frozen features are best from epoch 2 and whose fine-tuned model is best from the last one."""
    fe, ft = {1: 0.8, 2: 0.9, 4: 0.85, 40: 0.8}[epoch] + seed / 1000, 0.9 + epoch / 1000 + seed / 1000

    def table(keys, rows):
        means = np.array(list(rows.values()))
        parts = [dict(zip(keys, name.split("/"), strict=True)) for name in rows]
        return pd.DataFrame(parts).assign(mean=means, low=means - 0.01, high=means + 0.01)

    transfer = table(["quantity"], {"source": epoch / 50, "fe": fe, "fe_converged": fe + 0.01, "ft": ft})
    return {
        "transfer": transfer.assign(chance=0.1),
        "tsne": table(["model", "quantity"], {"pretrain/trustworthiness": 0.9}),
        "logme": table(["score"], {"logme": fe - 1 - seed / 500}),
        "claims": claims(0.3),
    }


def test_runs_from_several_epochs_say_from_which_it_is_best_to_start(make, capsys):
    places = []
    for seed, epoch in product(range(2), (1, 2, 4, 40)):
        places.append(make(from_epoch(epoch, seed), start__epoch=epoch, seeds__pretrain=seed, finished=str(seed)))
        arrays = {
            f"plane/{model}": np.random.default_rng(epoch).normal(size=(9, 2)) for model in ("pretrain", "finetune")
        }
        (places[-1] / "analysis" / "samples").mkdir()
        about = {"about/labels": np.arange(9) % 3, "about/seed_drawn": 7, "about/perplexity": 5.0}
        np.savez(places[-1] / "analysis" / "samples" / "tsne.npz", **arrays, **about)
    folder = summarise(places)
    out = " ".join(capsys.readouterr().out.split())
    assert (
        "Of 4 epochs of pre-training from 1 to 40, the best is 2 for frozen features with a fixed number of steps"
        in out
    )
    assert "the best epoch for frozen features (FE) comes before the best one for fine-tuning (FT): undecided" in out
    names = {path.name for path in folder.rglob("*") if path.is_file()}
    assert {"epochs.csv", "ranking.csv", "ranking.svg", "planes.svg", "transfer.svg", "logme_by_run.csv"} <= names
    assert [row["best"] for row in rows(folder / "tables" / "epochs.csv")] == ["2", "2", "40"]
    judged = rows(folder / "tables" / "claims.csv")
    assert [row["key"] for row in judged[:2]] == ["epochs/best/fe", "epochs/best/fe_converged"]
    assert {row["setting"] for row in judged if row["measure"] == "epochs"} == {"over epochs"}
    assert len([row for row in judged if row["key"] == "ratio/paper"]) == 4, "those of each setting stay"
    text = (folder / "report.html").read_text()
    assert "<h2>Which epoch of pre-training transfers best, with frozen features and fine-tuned?</h2>" in text
    assert "<h2>Does any score rank the epochs of pre-training as their accuracy does?</h2>" in text
    assert "t-SNE (seed 7, perplexity 5)" in text


def test_a_summary_of_synthetic_data_says_so_first(make, capsys):
    folder = summarise([make(tables(0.2)), make(tables(0.3), data__synthetic=2, seeds__train=1)])
    said = "a trial, as with debug=tiny (data.synthetic=2): these numbers mean nothing (in 1 of 2 runs)"
    assert f'<p class="warning">{said}</p>' in (folder / "report.html").read_text()
    assert (folder / "verdicts.txt").read_text().startswith(f"{said}\n")
    assert said in capsys.readouterr().out


def test_a_summary_replaces_the_one_before_entirely(make):
    first, second = make(tables(0.2, ("jaccard", jaccard()))), make(tables(0.3), seeds__train=1)
    folder = summarise([first, second])
    names = {path.name for path in folder.rglob("*") if path.is_file()}
    assert {"jaccard.csv", "jaccard_by_run.csv", "jaccard.png", "jaccard.svg"} <= names
    assert "jaccard is not in" in (folder / "report.html").read_text()
    left = beside(folder / "tables" / "ratio.csv")  # by a summary that was killed
    left.write_text("half")
    before = {path: path.read_bytes() for path in folder.rglob("ratio*.csv")}
    summarise([second])
    names = {path.name for path in folder.rglob("*") if path.is_file()}
    assert names == {
        "made_from.json",
        "report.html",
        "runs.csv",
        "claims.csv",
        "ratio.csv",
        "ratio_by_run.csv",
        "ratio.png",
        "ratio.svg",
        "verdicts.txt",
    }
    assert all(path.read_bytes() != content for path, content in before.items() if path != left)


def test_the_same_runs_make_the_same_bytes(make):
    places = [make(tables(0.2 + seed / 100), seeds__train=seed) for seed in range(3)]
    folder = summarise(places)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    summarise(places[::-1], anew=True)
    assert before == {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_what_is_there_already_is_not_written_again(make, capsys):
    places = [make(tables(0.3), seeds__train=seed) for seed in range(2)]
    report = summarise(places) / "report.html"
    before, said = report.stat().st_mtime_ns, capsys.readouterr().out
    summarise(places)
    assert report.stat().st_mtime_ns == before
    assert capsys.readouterr().out == said, "its claims are said, for all that"
    (report.parent / "tables" / "ratio.csv").unlink()
    summarise(places)
    assert (report.parent / "tables" / "ratio.csv").exists(), "a file has gone"
    after = report.stat().st_mtime_ns
    summarise(places[:1])
    assert report.stat().st_mtime_ns > after > before, "other runs"


def test_a_measure_of_the_users_own_is_summed_up_like_any_other(make):
    own = decomposition().rename(columns={"order": "layer", "quantity": "kind"})
    own = own.rename(columns=lambda column: column.replace("sign", "rest"))
    folder = summarise([make({"mine": own}, seeds__train=seed) for seed in range(3)])
    assert list(rows(folder / "tables" / "mine.csv")[0]) == [
        "layer", "kind", "runs", "mean", "low", "high", "rest", "rest_excess", "rest_low", "rest_high"
    ]  # fmt: skip
    assert (folder / "figures" / "mine.svg").exists()
    assert "Which of the paper" not in (folder / "report.html").read_text()


def test_several_studies_have_a_summary_beside_them(make, monkeypatch):
    places = [make(tables(0.3), {"data": name}, name=name) for name in ("cars", "cub200")]
    folder = summarise(places)
    assert folder == make.outputs / "summary" / "cars+cub200"
    assert [row["data"] for row in rows(folder / "tables" / "ratio.csv")[::3]] == ["cars", "cub200"]
    monkeypatch.chdir(make.outputs.parent)
    assert summarise([Path(os.path.relpath(place)) for place in places]) == Path("outputs/summary/cars+cub200")


def test_runs_in_a_folder_of_the_users_own_are_summed_up_there(make, tmp_path):
    places = [make(tables(0.3), name=str(tmp_path.name) + "x", seeds__train=seed) for seed in range(2)]
    moved = [place.rename(tmp_path / f"own{at}") for at, place in enumerate(places)]
    assert summarise(moved) == tmp_path / "summary"


def test_two_at_once_wait_for_each_other(make, capsys):
    place, made = make(tables(0.3)), []
    folder = place_of(read([place])[0])
    other = threading.Thread(target=lambda: made.append(summarise([place])))
    with locked(folder):
        other.start()
        other.join(1)
        assert not folder.exists()
    other.join(60)
    assert made == [folder]
    assert "waiting for another run that works in" in capsys.readouterr().out


@pytest.mark.parametrize(("harm", "words"), [
    (None, "gone was not found: a folder of runs"),
    ("empty", "there is no run in"),
    ("damage", "none of the 1 run in"),
])  # fmt: skip
def test_what_cannot_be_summed_up_is_refused_in_one_line(make, tmp_path, capsys, harm, words):
    place = tmp_path / "gone"
    if harm:
        place.mkdir()
    if harm == "damage":
        place = make(tables(0.3))
        (place / "analysis" / "done.json").write_text("{")
    with pytest.raises(SystemExit) as ended:
        main([str(place)])
    assert ended.value.code == 2
    err = capsys.readouterr().err
    assert words in err
    assert len(err.splitlines()) == 1
    assert not list(tmp_path.rglob("summary"))


def test_the_command_takes_folders_and_patterns(make, capsys):
    for seed in range(2):
        make(tables(0.3), seeds__train=seed)
    main([str(make.outputs / "digits" / "*")])
    assert "met in 2 of 2" in capsys.readouterr().out


def test_runs_whose_values_are_gone_are_summed_up_without_what_needs_them(make, capsys):
    places = [make(tables(0.3), seeds__train=seed) for seed in range(2)]
    names = ("interactions/samples", "interactions/probe", "interactions/finetune")
    for place in places:
        gone = {name: {"path": f"../../../results/{name}/gone", "digest": "same"} for name in names}
        (place / "results.json").write_text(json.dumps(gone))
    folder = summarise(places)
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("references over runs")]
    assert len(lines) == 1
    assert "are not there: " in lines[0]
    assert len(rows(folder / "tables" / "ratio.csv")) == 3
    assert "references over runs (ceiling, other) are not there" in (folder / "report.html").read_text()
