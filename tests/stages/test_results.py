"""Results on disk: which are complete, why one is to be made, what is left of one that is begun again."""

import json
import os
from dataclasses import replace

import pytest
import yaml
from changing import changed
from omegaconf import DictConfig

from stages.files import written
from stages.identity import Result, results_of
from stages.locks import locked
from stages.results import epochs_of, finish, is_complete, kept, nested, start, state


def make(result: Result, **files: str) -> None:
    """As a stage does; a . in a name is a / for __."""
    with locked(result.folder):
        folder = start(result)
        for name, content in files.items():
            path = folder / name.replace("__", "/").replace("_at_", ".")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        finish(result, last=result.planned)


def trained(result: Result, epochs: list[int], content: str = "weights") -> None:
    make(result, **{f"checkpoints__epoch_{epoch:03d}_at_pt": f"{content} {epoch}" for epoch in epochs})


@pytest.fixture
def pretrain(cfg: DictConfig) -> Result:
    return results_of(changed(cfg, checkpoints__epochs=[0, 6]))["pretrain"]


def test_complete_is_what_was_finished(pretrain):
    assert state(pretrain) == type(state(pretrain))(complete=False, begun=False)
    with locked(pretrain.folder):
        start(pretrain)
    assert state(pretrain).begun
    assert not is_complete(pretrain)
    trained(pretrain, [0, 6])
    assert is_complete(pretrain)


def test_what_decided_it_and_what_made_it_are_written_down(pretrain):
    trained(pretrain, [0, 6])
    assert yaml.safe_load((pretrain.folder / "config.yaml").read_text()) == nested(pretrain.decided())
    done = json.loads((pretrain.folder / "done.json").read_text())
    assert done["digest"] == pretrain.digest
    assert done.keys() >= {"finished", "program", "commit", "machine", "threads", "python", "torch", "lightning"}
    size, sha256 = done["files"]["checkpoints/epoch_006.pt"]
    assert (size, len(sha256)) == (len("weights 6"), 64)
    assert set(done["files"]) == {"checkpoints/epoch_000.pt", "checkpoints/epoch_006.pt"}


@pytest.mark.parametrize("damage", ["gone", "shorter"])
def test_a_file_that_has_gone_or_changed_is_a_reason_to_make_it_again(pretrain, damage):
    trained(pretrain, [0, 6])
    file = pretrain.folder / "checkpoints" / "epoch_000.pt"
    file.unlink() if damage == "gone" else file.write_text("w")
    found = state(pretrain)
    assert not found.complete
    assert found.why == f"checkpoints/epoch_000.pt in {pretrain.folder} is missing or changed"
    with locked(pretrain.folder):
        start(pretrain)
    assert not file.exists(), "what is half there is removed"
    assert (pretrain.folder / "checkpoints" / "epoch_006.pt").exists()


def test_a_copied_folder_is_complete_and_a_touched_one(pretrain, tmp_path):
    trained(pretrain, [0, 6])
    for file in pretrain.folder.rglob("*"):
        os.utime(file, (0, 0))
    assert is_complete(pretrain)


def test_more_epochs_than_were_kept_are_a_reason_and_fewer_are_none(cfg):
    few, all_of_them, fewer = (
        results_of(changed(cfg, checkpoints__epochs=epochs))["finetune"] for epochs in ([0, 2], "all", [2])
    )
    assert few.digest == all_of_them.digest
    trained(few, [0, 2, 12])
    assert is_complete(few)
    assert is_complete(fewer)
    assert not is_complete(all_of_them)
    assert state(all_of_them).why == "epochs 1, 3, 4, ... were not kept"


def test_a_start_epoch_has_to_be_kept(cfg):
    for epoch, complete in ((6, True), (2, False)):
        found = results_of(changed(cfg, checkpoints__epochs=[0, 6], start__epoch=epoch))["pretrain"]
        if complete:
            trained(found, [0, 6])
        assert is_complete(found) == complete
    assert state(found).why == "epoch 2 was not kept"


def test_a_training_that_stopped_early_ends_there(cfg):
    result = results_of(cfg)["finetune"]
    with locked(result.folder):
        start(result)
        for epoch in range(5):
            (result.folder / "checkpoints").mkdir(exist_ok=True)
            (result.folder / "checkpoints" / f"epoch_{epoch:03d}.pt").touch()
        finish(result, last=4)
    assert is_complete(result)
    assert epochs_of(result) == epochs_of(results_of(cfg)["interactions/finetune"]) == [0, 1, 2, 3, 4]


def test_what_is_made_from_what_has_been_made_anew_is_made_anew(cfg):
    results = results_of(changed(cfg, checkpoints__epochs=[0, 12]))
    pretrain, finetune = results["pretrain"], results["finetune"]
    trained(pretrain, [0, 6])
    trained(finetune, [0, 12])
    trained(pretrain, [0, 6])
    assert is_complete(finetune), "the same, bit by bit"
    trained(pretrain, [0, 3, 6])
    assert is_complete(finetune), "more of the same"
    trained(pretrain, [0, 3, 6], "others")
    assert state(finetune).why == "pretrain has been made again"
    with locked(finetune.folder):
        start(finetune)
    assert not (finetune.folder / "checkpoints").exists(), "nothing of before is gone on from"


def test_an_input_that_has_gone_since_is_no_other(cfg):
    import shutil

    results = results_of(changed(cfg, checkpoints__epochs=[0, 12]))
    trained(results["pretrain"], [0, 6])
    trained(results["finetune"], [0, 12])
    shutil.rmtree(results["pretrain"].folder)
    assert is_complete(results["finetune"])


def test_another_result_in_a_runs_own_folder_is_made_again(cfg):
    make(results_of(cfg)["analysis"], report_at_html="a")
    assert is_complete(results_of(cfg)["analysis"])
    other = results_of(changed(cfg, analysis__tau=0.1))["analysis"]
    assert state(other).why == "it was made with other settings, or from other results"
    with locked(other.folder):
        start(other)
    assert not (other.folder / "report.html").exists()


def test_a_part_that_is_asked_for_and_missing_is_a_reason(cfg):
    some, more, fewer = (
        results_of(changed(cfg, analysis__measures=measures))["analysis"]
        for measures in (["ratio", "noise"], ["noise", "jaccard", "ratio"], ["noise"])
    )
    assert some.digest == more.digest == fewer.digest
    make(some, report_at_html="a")
    assert is_complete(some)
    assert state(fewer).why == "it shows ratio, noise"
    assert state(more).why == "jaccard has not been computed yet"
    assert (
        state(replace(some, parts={"ratio": "other", "noise": "other"})).why == "the code of ratio, noise has changed"
    )
    with locked(more.folder):
        start(more)
    assert (more.folder / "report.html").exists(), "what is there stays"


def test_nobody_writes_without_the_lock(pretrain):
    for write in (start, finish):
        with pytest.raises(RuntimeError, match="without its lock"):
            write(pretrain)


def test_further_processes_write_nothing(pretrain, monkeypatch):
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert start(pretrain) == pretrain.folder
    finish(pretrain)
    assert not pretrain.folder.exists()


def test_a_lock_that_somebody_holds_is_not_waited_for_if_not_wanted(tmp_path):
    with locked(tmp_path / "a") as mine, locked(tmp_path / "b", wait=False) as free:
        assert (mine, free) == (True, True)
        with locked(tmp_path / "a", wait=False) as again:
            assert not again


@pytest.mark.parametrize(("asked", "last", "wanted"), [
    ("all", 2, {0, 1, 2}), ([0], 3, {0, 3}), ([1, 9], 3, {1, 3}), ((), 2, {2}),
])  # fmt: skip
def test_the_last_epoch_is_always_kept(asked, last, wanted):
    assert kept(asked, last) == wanted


def test_half_written_files_are_removed_when_it_is_begun_again(pretrain):
    with locked(pretrain.folder):
        folder = start(pretrain)
        (folder / ".epoch_001.pt.123-abcd.tmp").touch()
        start(pretrain)
    assert [path.name for path in folder.iterdir() if path.suffix == ".tmp"] == []


def test_what_is_written_appears_at_once_and_whole(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with written(path) as beside, written(path) as other:
        assert beside != other, "two that write the same file do not write into each other's"
        other.write_text("newer")
        beside.write_text("new")
        assert beside.parent == tmp_path
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
@pytest.mark.parametrize("old", [None, "old"])
def test_a_block_that_raises_leaves_nothing_behind(tmp_path, error, old):
    path = tmp_path / "a.txt"
    if old:
        path.write_text(old)

    def interrupted() -> None:
        with written(path) as beside:
            beside.write_text("half")
            raise error

    with pytest.raises(error):
        interrupted()
    assert [file.read_text() for file in tmp_path.iterdir()] == ([old] if old else [])


def test_what_is_made_from_what_is_to_be_made_anew_is_not_complete(cfg):
    """However far back: a probe of other weights than there are now makes its values those of nothing."""
    results = results_of(changed(cfg, checkpoints__epochs=[0, 12]))
    trained(results["pretrain"], [0, 6])
    trained(results["probe"], [10])
    make(results["interactions/samples"], samples_at_json="[]")
    values = {f"epoch_010__{name}_at_{kind}": "1" for name, kind in (("values", "npy"), ("meta", "json"))}
    make(results["interactions/probe"], **values)
    assert is_complete(results["interactions/probe"])
    trained(results["pretrain"], [0, 6], "others")
    assert state(results["interactions/probe"]).why == "probe has been made again"
