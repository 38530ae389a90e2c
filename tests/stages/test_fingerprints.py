"""What a user's own files hold."""

import hashlib
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from conf.errors import BadInput
from stages import fingerprints
from stages.fingerprints import Memory, forget, of_path

HOUR = 3600 * 10**9
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def new_process():
    forget()
    yield
    forget()


@pytest.fixture
def memory(tmp_path):
    return Memory(tmp_path / "results" / "fingerprints.json")


@pytest.fixture
def read(monkeypatch):
    """The paths of all files that are read."""
    paths, original = [], fingerprints._sha256
    monkeypatch.setattr(fingerprints, "_sha256", lambda path, bar: paths.append(path) or original(path, bar))
    return paths


def made(path, text="content", age=HOUR):
    """A file that was changed `age` ns ago."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return aged(path, age)


def aged(path, age=HOUR):
    changed = fingerprints.time.time_ns() - age
    os.utime(path, ns=(changed, changed))
    return path


def folder(path, **texts):
    for name, text in ({"a.jpg": "one", "b.jpg": "two", "sub/a.jpg": "three"} | texts).items():
        made(path / name, text)
    return path


def fresh(path):
    """As a process finds it that remembers nothing."""
    forget()
    return of_path(path, Memory(path.parent / "nothing.json"))


def later(memory):
    """As a later process begins."""
    memory.save()
    forget()
    return Memory(memory._file)


def test_a_file_is_its_size_and_the_digits_that_sha256sum_prints(tmp_path, memory):
    digits = hashlib.sha256(b"x" * 1234).hexdigest()[:16]
    assert of_path(made(tmp_path / "probe.pt", "x" * 1234), memory) == f"1,234 bytes, sha256 {digits}"
    assert of_path(made(tmp_path / "one.pt", "x"), memory).startswith("1 byte, sha256 ")
    assert of_path(made(tmp_path / "empty.pt", ""), memory).startswith("0 bytes, sha256 e3b0c442")


def test_a_file_moved_or_touched_is_the_same_and_edited_it_is_not(tmp_path):
    file = made(tmp_path / "a.pt", "weights")
    before = fresh(file)
    assert fresh(aged(file, 5 * HOUR)) == before
    assert fresh(file.rename(tmp_path / "other.pt")) == before
    assert fresh(made(tmp_path / "other.pt", "Weights")) != before


def test_a_file_larger_than_a_chunk_counts_to_its_end(tmp_path, monkeypatch):
    monkeypatch.setattr(fingerprints, "CHUNK", 8)
    before = fresh(made(tmp_path / "a.pt", "12345678" * 3 + "1"))
    assert before.endswith(hashlib.sha256(b"12345678" * 3 + b"1").hexdigest()[:16])
    assert fresh(made(tmp_path / "a.pt", "12345678" * 3 + "2")) != before


def test_a_folder_is_counted_and_does_not_depend_on_its_place_or_dates(tmp_path, memory):
    first = of_path(folder(tmp_path / "first"), memory)
    assert first.startswith("3 files, 11 bytes, sha256 ")
    second = folder(tmp_path / "elsewhere" / "second")
    aged(second / "a.jpg", 3 * HOUR)
    assert of_path(second, memory) == first
    assert of_path(f"{second}/", memory) == first


@pytest.mark.parametrize("change", [
    lambda path: made(path / "a.jpg", "One"),
    lambda path: (path / "a.jpg").rename(path / "c.jpg"),
    lambda path: (path / "a.jpg").rename(path / "sub" / "c.jpg"),
    lambda path: (path / "sub").rename(path / "bus"),
    lambda path: made(path / "c.jpg", ""),
    lambda path: (path / "a.jpg").unlink(),
    lambda path: (made(path / "a.jpg", "two"), made(path / "b.jpg", "one")),
], ids=["edited", "renamed", "moved", "folder renamed", "added", "removed", "swapped"])  # fmt: skip
def test_a_folder_changes_with_what_is_in_it(tmp_path, memory, change):
    path = folder(tmp_path / "images")
    before = of_path(path, memory)
    memory = later(memory)
    change(path)
    assert of_path(path, memory) != before
    assert fresh(path) != before


def test_names_and_contents_do_not_run_into_each_other(tmp_path):
    for name, files in {"x": {"ab": "", "c": "d"}, "y": {"a": "", "bc": "d"}, "z": {"ab": "c", "c": ""}}.items():
        for file, text in files.items():
            made(tmp_path / name / file, text)
    assert len({fresh(tmp_path / name) for name in "xyz"}) == 3


@pytest.mark.parametrize("name", [
    ".DS_Store", ".git/config", "sub/.hidden", "Thumbs.db", "sub/DESKTOP.INI", "ehthumbs.db", "__pycache__/a.pyc",
])  # fmt: skip
def test_hidden_files_and_those_of_the_system_do_not_count(tmp_path, memory, name):
    path = folder(tmp_path / "images")
    before = of_path(path, memory)
    memory = later(memory)
    made(path / name)
    assert of_path(path, memory) == before
    assert fresh(path) == before


def test_what_is_named_by_the_user_counts_whatever_its_name_is(tmp_path, memory):
    assert of_path(made(tmp_path / ".cache" / ".weights.pt"), memory).startswith("7 bytes")
    assert of_path(folder(tmp_path / ".images"), memory).startswith("3 files")


def test_an_empty_folder_holds_nothing(tmp_path, memory):
    (tmp_path / "images" / "sub").mkdir(parents=True)
    assert of_path(tmp_path / "images", memory).startswith("0 files, 0 bytes, sha256 ")


def test_links_are_followed(tmp_path, memory):
    plain = folder(tmp_path / "plain")
    linked = tmp_path / "linked"
    linked.mkdir()
    (linked / "a.jpg").symlink_to(plain / "a.jpg")
    (linked / "b.jpg").symlink_to("../plain/b.jpg")
    (linked / "sub").symlink_to(plain / "sub")
    (tmp_path / "link").symlink_to(linked)
    assert of_path(linked, memory) == of_path(plain, memory) == of_path(tmp_path / "link", memory)
    assert of_path(linked / "a.jpg", memory) == of_path(plain / "a.jpg", memory)
    memory = later(memory)
    made(plain / "sub" / "a.jpg", "other")
    assert of_path(linked, memory) == of_path(plain, memory) != fresh(linked / "sub")


@pytest.mark.parametrize("links", [
    {"images/sub/up": ".."},
    {"images/itself": "itself"},
    {"images/nowhere": "nothing.jpg", "images/wrong": "a.jpg/b"},
    {"images/other": "../other", "other/back": "../images"},
])  # fmt: skip
def test_links_in_circles_and_to_nowhere_end(tmp_path, links):
    before = fresh(folder(tmp_path / "images"))
    (tmp_path / "other").mkdir()
    for link, place in links.items():
        (tmp_path / link).symlink_to(place)
    assert fresh(tmp_path / "images") == before


def test_two_links_to_one_folder_count_twice(tmp_path, memory):
    folder(tmp_path / "plain")
    (tmp_path / "images").mkdir()
    for name in ("one", "two"):
        (tmp_path / "images" / name).symlink_to("../plain")
    assert of_path(tmp_path / "images", memory).startswith("6 files, 22 bytes")


def test_names_that_are_no_text_are_read(tmp_path, memory):
    path = folder(tmp_path / "images")
    try:
        (path / os.fsdecode(b"caf\xe9\n.jpg")).write_text("four")
    except OSError:
        pytest.skip("this disk takes names of text only")
    assert of_path(path, memory).startswith("4 files, 15 bytes")


@pytest.mark.parametrize(("limit", "value"), [("MANY_FILES", 2), ("MANY_BYTES", 10)])
def test_of_a_large_folder_names_and_sizes_count(tmp_path, memory, monkeypatch, read, limit, value):
    path = folder(tmp_path / "images")
    monkeypatch.setattr(fingerprints, limit, value)
    before = of_path(path, memory)
    assert before.startswith("3 files, 11 bytes, names and sizes ")
    made(path / "a.jpg", "One")
    assert fresh(path) == before
    assert fresh(path.rename(tmp_path / "moved")) == before
    assert read == []
    path = tmp_path / "moved"
    assert fresh(folder(path, **{"a.jpg": "more", "b.jpg": "tw"})) != before
    folder(path)
    assert fresh(path) == before
    (path / "a.jpg").rename(path / "c.jpg")
    assert fresh(path) != before


def test_names_and_sizes_do_not_run_into_each_other(tmp_path, monkeypatch):
    monkeypatch.setattr(fingerprints, "MANY_FILES", 0)
    for name, sizes in {"x": {"a": 11, "b1": 1}, "y": {"a1": 1, "b": 11}}.items():
        for file, size in sizes.items():
            made(tmp_path / name / file, "x" * size)
    assert fresh(tmp_path / "x") != fresh(tmp_path / "y")


@pytest.mark.parametrize(("limit", "value"), [("MANY_FILES", 3), ("MANY_BYTES", 11)])
def test_up_to_the_limits_a_folder_is_read(tmp_path, memory, monkeypatch, limit, value):
    monkeypatch.setattr(fingerprints, limit, value)
    assert of_path(folder(tmp_path / "images"), memory).startswith("3 files, 11 bytes, sha256 ")


def test_progress_is_shown_where_there_is_much_to_read(tmp_path, memory, monkeypatch, capsys):
    path = folder(tmp_path / "images")
    of_path(path, memory)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(fingerprints, "SHOWN", 10)
    fresh(path)
    assert "reading images" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["nothing.pt", "file/nothing.pt", "x" * 300])
def test_what_is_not_there_is_refused_in_one_line(tmp_path, memory, name):
    made(tmp_path / "file")
    with pytest.raises(BadInput, match="can't be read") as refusal:
        of_path(tmp_path / name, memory)
    assert str(tmp_path / name) in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_what_is_neither_file_nor_folder_is_refused(memory):
    with pytest.raises(BadInput, match=f"{os.devnull} is neither a file nor a folder"):
        of_path(Path(os.devnull), memory)


@pytest.mark.parametrize("name", ["images", "images/b.jpg"])
def test_an_unreadable_file_is_refused_by_its_name(tmp_path, memory, monkeypatch, name):
    def refuse(path, *_, **__):
        raise PermissionError(13, "Permission denied", path)

    folder(tmp_path / "images", **{"a.jpg": ""})
    (tmp_path / "images" / "a.jpg").unlink()
    monkeypatch.setattr(fingerprints, "open", refuse, raising=False)  # to the superuser every file is readable
    with pytest.raises(BadInput, match=r"images/b\.jpg can't be read \(Permission denied\)"):
        of_path(tmp_path / name, memory)


def test_a_path_has_one_fingerprint_in_a_process(tmp_path, memory, read):
    file, images = made(tmp_path / "a.pt"), folder(tmp_path / "images")
    before = [of_path(path, memory) for path in (file, images)]
    count = len(read)
    made(file, "other")
    made(images / "a.jpg", "other")
    assert [of_path(path, Memory(tmp_path / "other.json")) for path in (file, images)] == before
    file.unlink()
    assert of_path(Path(os.path.relpath(file)), memory) == before[0]
    assert len(read) == count


def test_what_is_remembered_is_not_read_again(tmp_path, memory, read):
    paths = [made(tmp_path / "a.pt"), folder(tmp_path / "images")]
    before = [of_path(path, memory) for path in paths]
    assert len(read) == 4
    memory = later(memory)
    assert [of_path(path, memory) for path in paths] == before
    assert len(read) == 4
    for path in (tmp_path / "a.pt", tmp_path / "images" / "b.jpg"):
        aged(path, 2 * HOUR)
    memory = later(memory)
    assert [of_path(path, memory) for path in paths] == before
    assert len(read) == 8


def test_an_edit_is_seen_unless_size_and_date_are_set_back(tmp_path, memory):
    file = made(tmp_path / "a.pt", "weights")
    before, date = of_path(file, memory), file.stat().st_mtime_ns
    memory = later(memory)
    made(file, "Weights", HOUR // 2)
    other = of_path(file, memory)
    assert other != before
    made(file, "weigHts")
    os.utime(file, ns=(date, date))
    forget()
    assert of_path(file, Memory(memory._file)) == before
    assert fresh(file) not in (before, other)


def test_what_was_written_this_moment_is_not_remembered(tmp_path, memory, read):
    file, images = made(tmp_path / "a.pt", age=HOUR), folder(tmp_path / "images")
    aged(images / "b.jpg", 0)
    ahead = made(tmp_path / "ahead.pt", age=-HOUR)
    for path in (file, images, ahead):
        of_path(path, memory)
    memory.save()
    assert json.loads(memory._file.read_text())["paths"].keys() == {str(file)}
    assert len(read) == 5


def test_the_file_holds_what_was_seen_and_is_written_only_for_something_new(tmp_path, memory):
    file = made(tmp_path / "a.pt")
    memory.save()
    assert not memory._file.exists()
    fingerprint = of_path(file, memory)
    memory.save()
    assert json.loads(memory._file.read_text())["paths"] == {
        str(file): {"seen": f"7 bytes, {file.stat().st_mtime_ns} ns", "fingerprint": fingerprint}
    }
    assert [path.name for path in memory._file.parent.iterdir()] == ["fingerprints.json"]
    aged(memory._file)
    written = memory._file.stat().st_mtime_ns
    memory.save()
    memory = later(memory)
    of_path(file, memory)
    memory.save()
    assert memory._file.stat().st_mtime_ns == written


def test_what_is_gone_is_forgotten(tmp_path, memory):
    for name in ("a.pt", "b.pt"):
        of_path(made(tmp_path / name), memory)
    memory = later(memory)
    (tmp_path / "a.pt").unlink()
    of_path(made(tmp_path / "c.pt"), memory)
    memory.save()
    assert [Path(path).name for path in json.loads(memory._file.read_text())["paths"]] == ["b.pt", "c.pt"]


GOOD = {"seen": "SEEN", "fingerprint": "7 bytes, sha256 0123456789abcdef"}


def remembered(place, file, content):
    seen = f"7 bytes, {file.stat().st_mtime_ns} ns"
    place.write_text(content.replace("PATH", str(file)).replace("SEEN", seen))
    return Memory(place)


def test_a_remembered_fingerprint_is_taken(tmp_path):
    file, content = made(tmp_path / "a.pt"), json.dumps({"version": 1, "paths": {"PATH": GOOD}})
    assert of_path(file, remembered(tmp_path / "fingerprints.json", file, content)) == GOOD["fingerprint"]


@pytest.mark.parametrize("content", [
    "", "{", "[]", "null", "7", '"text"', "\0", "[" * 100_000, '{"paths": {}}', '{"version": 1}',
    json.dumps({"version": 0, "paths": {"PATH": GOOD}}),
    json.dumps({"version": 1, "paths": [GOOD]}),
    json.dumps({"version": 1, "paths": {"PATH": "text"}}),
    json.dumps({"version": 1, "paths": {"PATH": GOOD | {"fingerprint": "7 bytes"}}}),
    json.dumps({"version": 1, "paths": {"PATH": GOOD | {"fingerprint": None}}}),
    json.dumps({"version": 1, "paths": {"PATH": {"fingerprint": GOOD["fingerprint"]}}}),
], ids=range(16))  # fmt: skip
def test_a_damaged_or_foreign_file_counts_as_empty(tmp_path, content):
    file, place = made(tmp_path / "a.pt"), tmp_path / "fingerprints.json"
    memory = remembered(place, file, content)
    assert of_path(file, memory) == fresh(file)
    memory.save()
    assert json.loads(place.read_text())["paths"].keys() == {str(file)}


def test_a_file_that_is_no_text_counts_as_empty(tmp_path):
    file, place = made(tmp_path / "a.pt"), tmp_path / "fingerprints.json"
    place.write_bytes(b"\xff\xfe\x80")
    assert of_path(file, Memory(place)) == fresh(file)


def test_a_place_that_can_not_be_written_to_is_no_error(tmp_path):
    made(tmp_path / "file")
    (tmp_path / "folder.json").mkdir()
    for place in (tmp_path / "file" / "results" / "fingerprints.json", tmp_path / "folder.json"):
        forget()
        memory = Memory(place)
        of_path(made(tmp_path / "a.pt"), memory)
        memory.save()
    assert {path.name for path in tmp_path.iterdir()} == {"file", "folder.json", "a.pt"}


def test_several_that_write_at_once_leave_a_whole_file(tmp_path):
    place, files = tmp_path / "fingerprints.json", [made(tmp_path / f"{i}.pt", str(i)) for i in range(40)]
    damaged, done = [], threading.Event()

    def write(mine):
        for file in mine:
            memory = Memory(place)
            of_path(file, memory)
            memory.save()

    def look():
        while not done.is_set():
            if place.exists():
                try:
                    json.loads(place.read_text())
                except ValueError as error:
                    damaged.append(error)

    threads = [threading.Thread(target=write, args=(files[i::4],)) for i in range(4)]
    reader = threading.Thread(target=look)
    for thread in (reader, *threads):
        thread.start()
    for thread in threads:
        thread.join()
    done.set()
    reader.join()
    assert damaged == []
    kept = json.loads(place.read_text())["paths"]
    assert kept
    for path, entry in kept.items():
        assert entry["fingerprint"] == fresh(Path(path))
    assert {path.suffix for path in tmp_path.iterdir()} == {".pt", ".json"}


def test_each_writes_beside_under_a_name_of_its_own(tmp_path, monkeypatch):
    written, original = [], fingerprints.write_record
    monkeypatch.setattr(fingerprints, "write_record", lambda path, it: written.append(path) or original(path, it))
    for name in ("a.pt", "b.pt"):
        memory = Memory(tmp_path / "fingerprints.json")
        of_path(made(tmp_path / name), memory)
        memory.save()
    assert len({tmp_path / "fingerprints.json", *written}) == 3


def test_one_that_learned_something_keeps_what_others_wrote_meanwhile(tmp_path):
    place = tmp_path / "fingerprints.json"
    first, second = Memory(place), Memory(place)
    of_path(made(tmp_path / "a.pt"), first)
    of_path(made(tmp_path / "b.pt"), second)
    first.save()
    second.save()
    assert len(json.loads(place.read_text())["paths"]) == 2


def test_nothing_heavy_is_imported():
    code = (
        "import sys; from pathlib import Path; from stages import fingerprints, sources;"
        "fingerprints.of_path(Path('run.py'), fingerprints.Memory(Path('nothing.json')));"
        "assert sources.defaults('lightning.pytorch.trainer.trainer.Trainer')['devices'] == 'auto';"
        "assert sources.defaults('models.vision.conv4')['width'] == 64;"
        "assert sources.own_code('torchvision.models.resnet18') == [];"
        "heavy = {'torch', 'torchvision', 'lightning', 'pandas', 'transformers', 'models', 'setuptools'};"
        "print(sorted(heavy & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")
