"""Results that no run shows: which they are, and that nothing else is ever deleted."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from changing import changed

from stages import inventory, unused
from stages.lease import place_of
from stages.locks import locked
from stages.results import begin_share, start, state

ROOT = Path(__file__).resolve().parents[2]
DAY = 24 * 3600


def age(folder: Path, days: float = 2) -> None:
    then = time.time() - days * DAY
    for path in (*folder.rglob("*"), folder):
        os.utime(path, (then, then), follow_symlinks=False)


@pytest.fixture
def outputs(tmp_path) -> Path:
    return tmp_path / "outputs"


@pytest.fixture
def studies(cfg, shown, outputs):
    """Two old studies that differ in the rate of scratch; the second one's run was deleted."""
    other = changed(cfg, run_dir=str(outputs / "other"), scratch__lr=0.5)
    first, second = shown(cfg), shown(other)
    age(outputs / "results")
    shutil.rmtree(outputs / "other")
    return first, second


def gone(first, second) -> set[Path]:
    """What the second study alone needed."""
    shared = {result.folder for result in first.values()}
    return {result.folder for result in second.values() if not result.stage.in_run} - shared


def test_what_no_run_shows_is_listed_and_nothing_deleted(studies, outputs, capsys):
    before = sorted(outputs.rglob("*"))
    unused.main([str(outputs)])
    out = capsys.readouterr().out
    for folder in gone(*studies):
        assert f"  {folder}\n" in out
    assert len(gone(*studies)) == 2, "scratch and its values"
    assert "2 of 12 results that no run shows; 1 run in" in out
    assert "nothing was deleted; --delete deletes them" in out
    assert sorted(outputs.rglob("*")) == before


def test_the_largest_comes_first_and_the_sum_last(studies, outputs, capsys):
    scratch, values = (studies[1][name].folder for name in ("scratch", "interactions/scratch"))
    (values / "more.npy").write_bytes(bytes(5_000_000))
    (scratch / "more.npy").write_bytes(bytes(2_000_000))
    age(outputs / "results")
    unused.main([str(outputs)])
    first, second, total, _ = capsys.readouterr().out.splitlines()
    assert first.endswith(str(values))
    assert first.split()[:2] == ["5.0", "MB"]
    assert second.endswith(str(scratch))
    assert total.split()[:2] == ["7.0", "MB"]


def test_deleted_is_what_was_listed_with_its_locks(studies, outputs, capsys):
    first, _ = studies
    unused.main([str(outputs), "--delete"])
    for folder in gone(*studies):
        assert not folder.exists()
        assert not place_of(folder).exists()
    assert "deleted" in capsys.readouterr().out
    for result in first.values():
        assert state(result).complete, result.name
    unused.main([str(outputs), "--delete"])
    assert "there is nothing to delete" in capsys.readouterr().out


def test_what_is_shown_is_spared_without_its_link(studies, outputs):
    run = outputs / "run"
    for path in run.rglob("*"):
        if path.is_symlink():
            path.unlink()
    assert unused.unused(outputs).keys() == gone(*studies)


def test_what_a_shown_result_was_made_from_is_spared(cfg, shown, outputs, studies):
    first, _ = studies
    listed = json.loads((outputs / "run" / "results.json").read_text())
    values = {"interactions/finetune": listed["interactions/finetune"]}
    (outputs / "run" / "results.json").write_text(json.dumps(values))
    shutil.rmtree(outputs / "run" / "analysis")
    kept = {"interactions/finetune", "interactions/samples", "finetune", "pretrain"}
    left = {first[name].folder for name in first.keys() - kept if name != "analysis"}
    assert unused.unused(outputs).keys() == left | gone(*studies)


@pytest.mark.parametrize("move", ["outputs", "run", "link"])
def test_moved_folders_are_understood(studies, outputs, tmp_path, move):
    found = {folder.relative_to(outputs) for folder in gone(*studies)}
    if move == "outputs":
        outputs = outputs.rename(tmp_path / "elsewhere")
    elif move == "run":
        (outputs / "deep" / "down").mkdir(parents=True)
        (outputs / "run").rename(outputs / "deep" / "down" / "run")
    else:
        (outputs / "run").rename(tmp_path / "on_another_disk")
        (outputs / "run").symlink_to(tmp_path / "on_another_disk")
    assert {folder.relative_to(outputs) for folder in unused.unused(outputs)} == found


def test_links_in_a_circle_end(studies, outputs):
    (outputs / "run" / "up").symlink_to(outputs)
    assert list(inventory.runs(outputs)) == [outputs / "run"]
    assert unused.unused(outputs).keys() == gone(*studies)


def test_a_run_that_is_called_results_is_a_run(studies, outputs):
    run = (outputs / "run").rename(outputs / "results" / "seed=0")
    age(outputs / "results")
    unused.main([str(outputs), "--delete"])
    assert (run / "analysis" / "table.csv").exists()
    for result in studies[0].values():
        assert result.stage.in_run or result.folder.exists()


@pytest.mark.parametrize("what", ["file", "folder"])
def test_what_changed_within_a_day_is_spared_and_what_it_was_made_from(cfg, shown, outputs, what):
    results = shown(cfg)
    age(outputs / "results")
    shutil.rmtree(outputs / "run")
    finetune = results["finetune"].folder
    os.utime(finetune / "table.csv" if what == "file" else finetune)
    found = unused.unused(outputs)
    assert not {finetune, results["pretrain"].folder} & found.keys()
    assert {results["scratch"].folder, results["probe"].folder} <= found.keys()


def test_what_is_locked_is_spared(studies, outputs):
    scratch, values = (studies[1][name].folder for name in ("scratch", "interactions/scratch"))
    with locked(scratch):
        assert unused.unused(outputs).keys() == {values}
    with locked(values):
        assert not unused.unused(outputs), "its values are made from it"


def test_what_comes_into_use_before_it_is_deleted_stays(studies, outputs, cfg, shown, monkeypatch, capsys):
    scratch, values = (studies[1][name].folder for name in ("scratch", "interactions/scratch"))
    known = unused.unused(outputs)
    monkeypatch.setattr(unused, "unused", lambda _: known)
    with locked(scratch):
        os.utime(values)
        unused.main([str(outputs), "--delete"])
    assert capsys.readouterr().out.count("kept, since a run uses it now") == 2
    age(values)
    (outputs / "again").mkdir()
    entry = {"path": os.path.relpath(scratch, outputs / "again"), "digest": studies[1]["scratch"].digest}
    (outputs / "again" / "results.json").write_text(json.dumps({"scratch": entry}))
    unused.main([str(outputs), "--delete"])
    assert scratch.exists()
    assert not values.exists()


def test_a_killed_deletion_leaves_nothing_that_looks_complete(studies, outputs, monkeypatch):
    monkeypatch.setattr(shutil, "rmtree", lambda folder: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        unused.main([str(outputs), "--delete"])
    monkeypatch.undo()
    lost = [folder for folder in gone(*studies) if not folder.exists()]
    assert len(lost) == 1
    (left,) = lost[0].parent.glob(".*.tmp")
    assert not (left / "done.json").exists()
    age(left)
    unused.main([str(outputs), "--delete"])
    assert not left.exists(), "the next call takes it away"


def test_an_interrupted_result_is_one_and_other_folders_are_none(studies, cfg, outputs):
    from stages.identity import results_of

    begun = results_of(changed(cfg, scratch__lr=0.7))["scratch"]
    with locked(begun.folder):
        start(begun)
    (outputs / "results" / "mine").mkdir()
    (outputs / "results" / "mine" / "notes.txt").touch()
    age(outputs / "results")
    unused.main([str(outputs), "--delete"])
    assert not begun.folder.exists()
    assert (outputs / "results" / "mine" / "notes.txt").exists()


@pytest.mark.parametrize("text", ["", "[1]", '{"finetune": {}}'])
def test_a_list_that_cant_be_read_stops_it(studies, outputs, capsys, text):
    (outputs / "run" / "results.json").write_text(text)
    with pytest.raises(SystemExit) as stop:
        unused.main([str(outputs), "--delete"])
    assert stop.value.code == 2
    assert f"{outputs / 'run' / 'results.json'} is damaged" in capsys.readouterr().err
    assert all(folder.exists() for folder in gone(*studies))


@pytest.mark.parametrize("there", [True, False])
def test_a_folder_that_is_none_of_outputs_is_one_line(tmp_path, capsys, there):
    folder = tmp_path / "folder"
    if there:
        folder.mkdir()
    with pytest.raises(SystemExit) as stop:
        unused.main([str(folder)])
    assert stop.value.code == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert f"{folder} is not a folder of outputs" in err
    assert folder.exists() == there


@pytest.mark.parametrize("tool", ["unused", "pack"])
def test_neither_tool_imports_torch(tool):
    code = f"import sys, stages.{tool}; sys.exit('torch' in sys.modules or 'pandas' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_what_shares_are_making_is_spared_with_what_they_read(cfg, shown, outputs):
    """No run shows it yet, and no lock is held."""
    results = shown(cfg, "pretrain", "finetune", "interactions/samples")
    shutil.rmtree(outputs / "run")
    result = results["interactions/finetune"]
    begin_share(result)
    age(outputs / "results")
    assert result.folder.resolve() in unused.unused(outputs), "after days without work"
    (result.folder / "shards" / "0a1b").mkdir(parents=True)
    (result.folder / "shards" / "0a1b" / "2-of-8.0a1b.values").touch()
    assert unused.unused(outputs) == {}
