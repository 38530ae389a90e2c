import shutil
from pathlib import Path

import pytest
from hand_made import HandMade, tables
from omegaconf import OmegaConf

from analysis.runs import found
from conf.errors import BadInput
from stages.checksums import listed
from stages.records import read_record, write_record


@pytest.fixture
def make(default, tmp_path):
    return HandMade(default, tmp_path / "outputs")


def test_runs_are_found_in_folders_and_by_patterns_each_once(make, tmp_path):
    first, second = make(tables()), make(tables(), seed=1)
    outputs = tmp_path / "outputs"
    assert found.folders([str(outputs)]) == [first, second]
    assert found.folders([str(outputs / "digits" / "*"), str(first)]) == [first, second]
    assert found.folders([str(outputs / "**" / "seed=1")]) == [second]
    assert found.folders([str(first)]) == [first]


def test_where_there_is_nothing_that_is_said(tmp_path):
    (tmp_path / "empty").mkdir()
    for place, words in (
        ("gone", "was not found: a folder"),
        ("g*", "was not found"),
        ("empty", "no run in"),
    ):
        with pytest.raises(BadInput, match=words):
            found.folders([str(tmp_path / place)])


def test_a_run_is_read_with_its_settings_seeds_and_tables(make):
    (run,), left_out = found.read([make(tables(), finetune__lr=0.01, seeds__train=3)])
    assert left_out == {}
    assert (run.name, run.settings["finetune.lr"], run.settings["scratch.lr"]) == ("digits", 0.01, 0.01)
    assert run.seeds["seeds.train"] == 3
    assert run.seeds["data.target.seed"] == 0
    assert run.chosen["keys"] == {"finetune.lr": 0.01, "seeds.train": 3}
    assert not {"run_dir", "output", "data.root", "num_workers"} & run.settings.keys()
    assert set(run.tables) == {"ratio", "jaccard", "claims"}
    assert run.about["ratio"]["title"] == "Title of ratio"


def test_a_setting_of_0_is_not_taken_for_one_that_is_missing(make):
    (run,), _ = found.read([make(tables(), start__epoch=0)])
    assert run.settings["start.epoch"] == 0


def test_the_same_analysis_counts_once(make, tmp_path):
    first, second = make(tables(), digest="same"), make(tables(), digest="same")
    runs, left_out = found.read([first, second])
    assert [run.folder for run in runs] == [first]
    assert str(first) in left_out[second]


def change(file: Path) -> None:
    text = file.read_text()
    file.write_text(text.replace("0.3", "0.4"))
    assert file.read_text() != text


@pytest.mark.parametrize(("harm", "why"), [
    (lambda run: shutil.rmtree(run / "analysis"), "it has no complete analysis"),
    (lambda run: (run / "analysis" / "done.json").unlink(), "it has no complete analysis"),
    (lambda run: (run / "analysis" / "done.json").write_text("{"), "it has no complete analysis"),
    (lambda run: (run / "analysis" / "tables" / "ratio.csv").unlink(), "it has no complete analysis"),
    (lambda run: change(run / "analysis" / "tables" / "ratio.csv"), "ratio.csv is damaged"),
    (lambda run: (run / "config.yaml").write_text("{"), "config.yaml is damaged"),
    (lambda run: (run / "config.yaml").unlink(), "config.yaml is damaged"),
    (lambda run: (run / "chosen.json").write_text("{"), "chosen.json is damaged"),
])  # fmt: skip
def test_what_is_incomplete_or_damaged_is_left_out_and_named(make, harm, why):
    good, bad = make(tables()), make(tables(), seed=1)
    harm(bad)
    runs, left_out = found.read([bad, good])
    assert [run.folder for run in runs] == [good]
    assert why in left_out[bad]


def test_runs_of_before_a_key_or_a_record_are_read(make):
    run = make(tables(), chosen=False)
    cfg = OmegaConf.load(run / "config.yaml")
    del cfg["start"]
    OmegaConf.save(cfg, run / "config.yaml")
    (run / "analysis" / "measures.json").unlink()
    ((read,), _) = _refreshed(run)
    assert read.chosen is None
    assert read.settings["start.epoch"] == "last", "what was done before there was the key"
    assert read.about == {}


def _refreshed(run: Path) -> tuple:
    """Read, after a file of the analysis was taken away on purpose."""
    done = read_record(run / "analysis" / "done.json")
    write_record(run / "analysis" / "done.json", done | {"files": listed(run / "analysis")})
    return found.read([run])
