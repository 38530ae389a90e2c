"""Reads files of results, and refuses those that have changed since their stage wrote them."""

import io
import json
import sys

import pytest
import torch
from damage import flip

from conf.errors import BadInput
from stages import reading
from stages.checksums import damaged, listed, lost
from stages.files import write_archive
from stages.reading import Damaged, parsed
from stages.records import read_record, write_record


@pytest.fixture
def result(tmp_path):
    """A complete one, of a text and weights."""
    folder = tmp_path / "results" / "finetune-1"
    (folder / "checkpoints").mkdir(parents=True)
    (folder / "table.csv").write_text("a,b\n1,2\n")
    with (folder / "checkpoints" / "epoch_001.pt").open("wb") as file:
        torch.save({"weight": torch.arange(3.0)}, file)
    write_record(folder / "done.json", {"digest": "1", "files": listed(folder)})
    return folder


def text(file: io.BytesIO) -> str:
    return file.read().decode()


def test_what_is_as_it_was_left_is_read(result):
    assert parsed(result / "table.csv", text) == "a,b\n1,2\n"
    assert parsed(result / "checkpoints" / "epoch_001.pt", torch.load)["weight"].tolist() == [0, 1, 2]


def test_every_other_bit_is_noticed(result):
    """In a text that is read as well with any of them."""
    file = result / "table.csv"
    for place in range(file.stat().st_size):
        flip(file, place)
        with pytest.raises(Damaged, match=r"^\S*table\.csv is damaged \(its content has changed since it was made\)"):
            parsed(file, text)
        flip(file, place)
    assert parsed(file, text)


def test_a_bit_of_weights_is_noticed_through_a_link(result, tmp_path):
    (tmp_path / "run").symlink_to(result)
    flip(result / "checkpoints" / "epoch_001.pt", -500)
    with pytest.raises(Damaged, match=r"run/checkpoints/epoch_001\.pt is damaged"):
        parsed(tmp_path / "run" / "checkpoints" / "epoch_001.pt", torch.load)


def test_of_a_result_that_is_being_made_what_cannot_be_parsed_is_damaged(result):
    (result / "done.json").unlink()
    (result / "table.csv").write_text("other")
    assert parsed(result / "table.csv", text) == "other", "nobody knows better"
    with pytest.raises(Damaged, match=r"table\.csv is damaged \(it can't be read\)") as raised:
        parsed(result / "table.csv", json.load)
    assert "\n" not in str(raised.value)


def test_what_is_not_there_is_said(result):
    with pytest.raises(BadInput, match=r"other\.csv was not found"):
        parsed(result / "other.csv", text)


def test_a_refusal_of_the_parser_itself_is_passed_on(result):
    def refuse(_: object) -> None:
        raise BadInput("of another model")

    with pytest.raises(BadInput, match=r"^of another model$"):
        parsed(result / "table.csv", refuse)


@pytest.mark.parametrize(("argv", "command"), [
    (["run.py", "experiment=digits", "seed=1"], "&& python run.py experiment=digits seed=1"),
    (["/here/run.py", "stages=[analysis]", "name=my study", "plan=true"], "&& python run.py 'name=my study'"),
    (["run.py"], "&& python run.py"),
    (["/here/stages/pack.py", "outputs/digits"], ", and the study's command again"),
])  # fmt: skip
def test_the_command_that_mends_it(result, monkeypatch, argv, command):
    """It runs all stages: the one that left the file may not be among those that were asked for."""
    monkeypatch.setattr(sys, "argv", argv)
    flip(result / "table.csv", 0)
    with pytest.raises(Damaged) as raised:
        parsed(result / "table.csv", text)
    assert str(raised.value).endswith(f"this repairs it: rm {result / 'table.csv'}{' ' * (command[0] == '&')}{command}")


def test_a_disk_that_fails_is_no_traceback(result, monkeypatch):
    def fails(_: object) -> bytes:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(reading.Path, "read_bytes", fails)
    with pytest.raises(Damaged, match=r"table\.csv is damaged \(Input/output error\)"):
        parsed(result / "table.csv", text)


def test_sizes_tell_what_is_lost_and_contents_what_is_damaged(result):
    files = read_record(result / "done.json")["files"]
    assert (lost(result, files), damaged(result, files)) == ([], [])
    flip(result / "table.csv", 0)
    assert (lost(result, files), damaged(result, files)) == ([], [result / "table.csv"])
    (result / "table.csv").unlink()
    assert (lost(result, files), damaged(result, files)) == (["table.csv"], [])


@pytest.mark.parametrize("name", ["epoch_001.pt", "last.ckpt", "part_0-3.npz"])
def test_archives_of_what_was_never_finished_have_checksums_of_their_own(tmp_path, name):
    values = torch.arange(100.0, dtype=torch.float64)
    if name.endswith(".npz"):
        write_archive(tmp_path / name, v=values.numpy())
    else:
        torch.save({"weight": values}, tmp_path / name)
    file = tmp_path / name
    assert damaged(tmp_path, None) == []
    place = file.read_bytes().index(values.numpy().tobytes())
    for change in (
        lambda: flip(file, place + 100),
        lambda: file.write_bytes(b"garbage"),
        lambda: file.write_bytes(b""),
    ):
        change()
        assert damaged(tmp_path, None) == [file]


def test_every_other_bit_of_a_record_makes_it_none_or_changes_nothing(tmp_path):
    file, content = tmp_path / "done.json", {"digest": "1f2e", "last": 20, "files": {"a.npy": [10, "9f86"]}}
    write_record(file, content)
    assert read_record(file) == content
    for place in range(file.stat().st_size):
        flip(file, place)
        found = read_record(file)
        # Without its checksum (the name of that has another bit) it is taken as it is, and that is as it was.
        assert found is None or {key: found[key] for key in content} == content
        flip(file, place)


@pytest.mark.parametrize("text", ["", "[]", "{", "1", "\x00" * 20])
def test_garbage_is_no_record(tmp_path, text):
    (tmp_path / "done.json").write_text(text)
    assert read_record(tmp_path / "done.json") is None
    assert read_record(tmp_path / "none.json") is None


def test_a_record_of_before_there_were_checksums_counts(tmp_path):
    (tmp_path / "done.json").write_text('{"digest": "1"}')
    assert read_record(tmp_path / "done.json") == {"digest": "1"}
