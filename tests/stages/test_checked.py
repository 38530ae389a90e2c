import os

import numpy as np
import pytest

from stages.checked import Checked, marks_of


@pytest.fixture
def files(tmp_path):
    """Three that have not been written just now."""
    paths = [tmp_path / name for name in "abc"]
    for path in paths:
        path.write_text("an image")
        os.utime(path, (1e9, 1e9))
    return [str(path) for path in paths]


@pytest.fixture
def place(tmp_path):
    return tmp_path / "results" / "images.npy"


def test_what_was_learned_is_known_in_the_next_run(files, place):
    seen = Checked(place)
    assert not seen.known(marks_of(files)).any()
    seen.learn(marks_of(files[:2]))
    assert not place.exists(), "a run that is refused leaves nothing"
    seen.save()
    assert Checked(place).known(marks_of(files)).tolist() == [True, True, False]


@pytest.mark.parametrize("change", [
    lambda path: (os.truncate(path, 5), os.utime(path, (1e9, 1e9))),
    lambda path: os.utime(path, (2e9, 1e9 + 1)),
    lambda path: os.rename(path, f"{path}2"),
])  # fmt: skip
def test_a_file_that_is_another_one_is_not_known(files, place, change):
    seen = Checked(place)
    seen.learn(marks_of(files))
    change(files[1])
    assert seen.known(marks_of(files)).tolist() == [True, False, True]


def test_a_file_just_written_is_not_remembered(files, place):
    """It may change again under the same date."""
    os.utime(files[0])
    seen = Checked(place)
    seen.learn(marks_of(files))
    seen.save()
    assert len(np.load(place)) == 2
    assert seen.known(marks_of(files)).tolist() == [False, True, True]


def test_runs_add_to_each_other(files, place):
    runs = [Checked(place), Checked(place)]
    for run, path in zip(runs, files, strict=False):
        run.learn(marks_of([path]))
        run.save()
    assert Checked(place).known(marks_of(files)).tolist() == [True, True, False]


@pytest.mark.parametrize("content", [b"", b"no array", None])
def test_a_damaged_memory_is_none(files, place, content):
    place.parent.mkdir()
    place.write_bytes(content) if content is not None else np.save(place, np.ones(3))
    seen = Checked(place)
    assert not seen.known(marks_of(files)).any()
    seen.learn(marks_of(files))
    seen.save()
    assert Checked(place).known(marks_of(files)).all()


def test_a_disk_that_cannot_be_written_to_is_no_error(files, tmp_path):
    seen = Checked(tmp_path / "a" / "images.npy")  # which is a file, and no folder
    seen.learn(marks_of(files))
    seen.save()
    assert seen.known(marks_of(files)).all()


def test_nothing_new_is_not_written(files, place):
    Checked(place).save()
    assert not place.exists()
