"""A run that is packed: complete where it is unpacked, and nothing half copied that looks whole."""

import json
import os
import shutil
from pathlib import Path

import pytest
from changing import changed

from stages import copying, pack
from stages.checksums import RECORDS, TRACKED
from stages.identity import Results, results_of
from stages.results import read_done, state
from stages.view import recorded


@pytest.fixture
def placed(cfg, tmp_path):
    """placed(outputs, **changes): the study with its run in outputs/digits/seed=0."""

    def place(outputs: Path, **values: object):
        differs = f"scratch.lr={values['scratch__lr']}" if "scratch__lr" in values else ""
        run = outputs / "digits" / differs / "seed=0"
        return changed(cfg, output=str(outputs), run_dir=str(run), **values)

    return place


@pytest.fixture
def home(tmp_path) -> Path:
    return tmp_path / "results" / "outputs"  # a folder above that has the name of one below


@pytest.fixture
def run(home) -> Path:
    return home / "digits" / "seed=0"


@pytest.fixture
def target(tmp_path) -> Path:
    return tmp_path / "pack"


def incomplete(results: Results) -> dict[str, str]:
    return {name: state(result).why for name, result in results.items() if not state(result).complete}


def refused(capsys, *arguments: object) -> str:
    """The one line, whatever a bar has shown before it."""
    with pytest.raises(SystemExit) as stop:
        pack.main([str(argument) for argument in arguments])
    assert stop.value.code == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line and not line.startswith("pack: ")]
    assert len(lines) == 1
    return lines[0]


def contents(folder: Path) -> dict[str, int]:
    files = [path for path in folder.rglob("*") if path.is_file() and path.parent.suffix != ".lease"]
    return {str(path.relative_to(folder)): path.stat().st_mtime_ns for path in files}


def test_a_packed_run_is_complete_where_it_is_moved(placed, shown, home, run, target, tmp_path):
    shown(placed(home))
    pack.main([str(run), str(target)])
    shutil.rmtree(home)
    moved = target.rename(tmp_path / "on_another_machine")
    assert incomplete(results_of(placed(moved))) == {}
    there = moved / "digits" / "seed=0"
    for name, entry in recorded(there).items():
        assert (there / entry["path"] / "table.csv").read_text() == f"made {name} table.csv"
        if name != "analysis":
            assert not os.readlink(there / name).startswith("/")
            assert (there / name).resolve() == (there / entry["path"]).resolve()
    assert "lr: 0.001" in (there / "config.yaml").read_text()


def test_what_a_running_study_alone_needs_is_left_out(placed, shown, home, run, target):
    results = shown(placed(home))
    pretrain = results["pretrain"].folder
    for name in ("features/a1/features_train.npy", "checkpoints/last.ckpt", ".table.csv.1-a.tmp"):
        (pretrain / name).parent.mkdir(parents=True, exist_ok=True)
        (pretrain / name).touch()
    (run / "wandb").mkdir()
    (run / "wandb" / "run.wandb").write_text("log")
    (run / "wandb" / "latest").symlink_to("run.wandb")
    pack.main([str(run), str(target)])
    copied = target / "results" / "pretrain" / pretrain.name
    assert contents(copied).keys() == read_done(pretrain)["files"].keys() | set(RECORDS) - {TRACKED}
    there = target / "digits" / "seed=0"
    assert not (there / "wandb").exists()
    pack.main([str(run), str(target), "--wandb"])
    assert (there / "wandb" / "run.wandb").read_text() == "log"
    assert not (there / "wandb" / "latest").is_symlink()


def test_size_and_free_disk_are_said_first(placed, shown, home, run, target, monkeypatch, capsys):
    results = shown(placed(home))
    total = sum(size for result in results.values() for size, _ in read_done(result.folder)["files"].values())
    monkeypatch.setattr(pack, "free_disk", lambda _: total - 1)
    assert f"{target} has 0.0 MB free" in refused(capsys, run, target)
    assert not target.exists()
    monkeypatch.setattr(pack, "free_disk", lambda _: total)
    pack.main([str(run), str(target)])
    assert capsys.readouterr().out.startswith(f"11 of 11 results are copied: {total / 1e6:.1f} MB")


def test_runs_are_added_and_what_they_share_is_copied_once(placed, shown, home, run, target, capsys):
    first, second = placed(home), placed(home, scratch__lr=0.5)
    shown(first)
    shown(second)
    pack.main([str(run), str(target)])
    before = contents(target / "results")
    capsys.readouterr()
    pack.main([second.run_dir, str(target)])
    assert "3 of 11 results are copied, 8 already exist" in capsys.readouterr().out
    assert before.items() <= contents(target / "results").items()
    for values in ({}, {"scratch__lr": 0.5}):
        assert incomplete(results_of(placed(target, **values))) == {}


def test_epochs_that_were_added_are_copied_and_those_there_stay(placed, shown, home, run, target):
    few, others = ({"checkpoints__epochs": epochs} for epochs in ([0, 2], [0, 3]))
    for values in (few, others):
        shutil.rmtree(home, ignore_errors=True)
        shown(placed(home, **values))
        pack.main([str(run), str(target)])
    for name in ("finetune", "scratch", "pretrain"):
        for values in (few, others):
            assert state(results_of(placed(target, **values))[name]).complete, name
        files = read_done(results_of(placed(target))[name].folder)["files"]
        assert {f"checkpoints/epoch_{epoch:03d}.pt" for epoch in (0, 2, 3)} <= files.keys()


def test_killed_while_epochs_are_added_those_there_stay(placed, shown, home, run, target, monkeypatch):
    few, others = placed(home, checkpoints__epochs=[0, 2]), placed(home, checkpoints__epochs=[0, 3])
    shown(few)
    pack.main([str(run), str(target)])
    shutil.rmtree(home)
    shown(others)
    monkeypatch.setattr(copying, "copy_file", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        pack.main([str(run), str(target)])
    assert incomplete(results_of(placed(target, checkpoints__epochs=[0, 2]))) == {}


def test_the_same_settings_with_another_outcome_are_not_mixed(placed, shown, home, run, target, capsys):
    shown(placed(home))
    pack.main([str(run), str(target)])
    shutil.rmtree(home)
    shown(placed(home), content="made elsewhere")
    capsys.readouterr()
    before = contents(target)
    assert "came to another result" in refused(capsys, run, target)
    assert contents(target) == before


def test_an_analysis_that_was_made_again_takes_the_place_of_the_old(placed, shown, home, run, target):
    study = placed(home)
    shown(study)
    pack.main([str(run), str(target)])
    there = target / "digits" / "seed=0" / "analysis"
    (there / "old.png").touch()
    shown(study, "analysis", content="again")
    pack.main([str(run), str(target)])
    assert (there / "table.csv").read_text() == "again analysis table.csv"
    assert not (there / "old.png").exists()
    assert incomplete(results_of(placed(target))) == {}


@pytest.mark.parametrize("how", ["deleted", "damaged", "not complete"])
def test_what_lacks_is_named_and_left_out_if_wanted(placed, shown, home, run, target, how, capsys):
    scratch = shown(placed(home))["scratch"].folder
    if how == "deleted":
        shutil.rmtree(scratch)
    elif how == "damaged":
        (scratch / "table.csv").write_text("")
    else:
        (scratch / "done.json").unlink()
    line = refused(capsys, run, target)
    assert f"lacks scratch ({'deleted' if how == 'deleted' else 'not complete'}):" in line
    assert "--partial" in line
    assert not target.exists()
    pack.main([str(run), str(target), "--partial"])
    assert incomplete(results_of(placed(target))).keys() == {"scratch"}
    assert "scratch" not in recorded(target / "digits" / "seed=0")
    assert not (target / "digits" / "seed=0" / "scratch").is_symlink()


def test_parts_of_a_run_from_two_places_are_shown_together(placed, shown, home, run, target):
    for name in ("pretrain", "scratch"):
        shutil.rmtree(home, ignore_errors=True)
        shown(placed(home), name)
        pack.main([str(run), str(target)])
    assert recorded(target / "digits" / "seed=0").keys() == {"pretrain", "scratch"}


def test_a_file_that_is_not_what_it_was_is_found_out(placed, shown, home, run, target, capsys):
    finetune = shown(placed(home))["finetune"].folder
    file = finetune / "checkpoints" / "epoch_012.pt"
    file.write_text(file.read_text()[::-1])
    assert f"{file} is damaged" in refused(capsys, run, target)
    copied = target / "results" / "finetune" / finetune.name
    assert not (copied / "done.json").exists()
    assert not list(target.rglob("*.tmp"))


@pytest.mark.parametrize("after", [1, 5, 9, 15])
def test_killed_at_any_file_nothing_half_copied_looks_complete(placed, shown, home, run, target, monkeypatch, after):
    shown(placed(home, checkpoints__epochs=[0]))
    real, calls = copying.copy_file, []

    def killed(*arguments: object) -> None:
        calls.append(arguments)
        if len(calls) > after:
            raise KeyboardInterrupt
        real(*arguments)

    monkeypatch.setattr(copying, "copy_file", killed)
    with pytest.raises(KeyboardInterrupt):
        pack.main([str(run), str(target)])
    for done in target.rglob("done.json"):
        files = json.loads(done.read_text())["files"]
        assert all((done.parent / name).stat().st_size == size for name, (size, _) in files.items())
    assert incomplete(results_of(placed(target, checkpoints__epochs=[0])))
    assert not list(target.rglob("results.json")), "no run shows what is not there"
    monkeypatch.undo()
    pack.main([str(run), str(target)])
    assert incomplete(results_of(placed(target, checkpoints__epochs=[0]))) == {}


def test_targets_that_can_be_none_are_refused(placed, shown, home, run, tmp_path, capsys):
    shown(placed(home))
    (tmp_path / "file").touch()
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "file").touch()
    before = contents(tmp_path)
    for target, words in (
        (run / "pack", "lies inside"),
        (home / "results" / "pack", "lies inside"),
        (home, "is where the run lies"),
        (tmp_path / "more", "contains something else"),
        (tmp_path / "file", "is a file"),
        (tmp_path / "file" / "pack", "Not a directory"),
    ):
        assert words in refused(capsys, run, target)
    assert contents(tmp_path) == before


@pytest.mark.parametrize("text", [None, "", "{}"])
def test_a_folder_that_is_no_runs_is_refused(tmp_path, target, text, capsys):
    if text is not None:
        (tmp_path / "results.json").write_text(text)
    line = refused(capsys, tmp_path, target)
    assert "results.json" in line
    assert str(tmp_path) in line
    assert not target.exists()


def test_a_run_outside_of_outputs_keeps_its_name(cfg, shown, tmp_path, target):
    shown(changed(cfg, run_dir=str(tmp_path / "mine")))
    pack.main([str(tmp_path / "mine"), str(target)])
    study = changed(cfg, output=str(target), run_dir=str(target / "mine"))
    assert incomplete(results_of(study)) == {}
