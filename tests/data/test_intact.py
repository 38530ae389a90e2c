import io
import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from conf.errors import BadInput
from data import intact
from data.intact import check, damage
from data.pictures import Files, upright
from stages.checked import Checked

ENDINGS = ("jpg", "png", "gif", "webp", "bmp", "tif")


def encoded(ending, **options):
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 60, 3), dtype=np.uint8))
    made = io.BytesIO()
    noise.save(made, Image.registered_extensions()[f".{ending}"], **options)
    return made.getvalue()


def put(path, content):
    path.write_bytes(content)
    os.utime(path, (1e9, 1e9))
    return str(path)


def opens(path):
    try:
        upright(path)
    except Exception:
        return False
    return True


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_file_that_was_cut_off_is_found_wherever_decoding_fails(tmp_path, ending):
    """And refused nowhere else: from some formats a few bytes may be missing."""
    content, found = encoded(ending), []
    for missing in (0, 1, 2, 4, 8, 12, 13, 50, 200, len(content) // 2, len(content) - 40, len(content)):
        path = put(tmp_path / f"{missing}.{ending}", content[: len(content) - missing])
        found.append(damage(path) == "")
        assert found[-1] == opens(path), missing
    assert found[0]
    assert not any(found[-4:])


def test_a_jpeg_cut_off_behind_its_thumbnail_is_damaged(tmp_path):
    """The thumbnail has an end of its own."""
    content = encoded("jpg", exif=Image.Exif().tobytes() + encoded("jpg"))
    path = put(tmp_path / "a.jpg", content[:-200])
    assert "truncated" in damage(path)


@pytest.mark.parametrize("more", [b"\0" * 20, b"\0" * 5000, b"made by a camera" * 100])
def test_what_a_program_adds_behind_the_end_is_no_damage(tmp_path, more):
    for ending in ENDINGS:
        path = put(tmp_path / f"a.{ending}", encoded(ending) + more)
        assert opens(path)
        assert damage(path) == ""


def test_other_bytes_in_a_png_are_found_though_its_end_is_there(tmp_path):
    content = bytearray(encoded("png"))
    content[len(content) // 2] ^= 1
    path = put(tmp_path / "a.png", bytes(content))
    assert not opens(path)
    assert damage(path) != ""


@pytest.mark.parametrize("content", [b"", b"no image", b"\x89PNG"])
def test_what_is_no_image_is_said_to_be_none(tmp_path, content):
    assert damage(put(tmp_path / "a.jpg", content)) == "it is not an image"


def test_a_file_that_has_gone_is_damaged_too(tmp_path):
    assert damage(str(tmp_path / "a.jpg")) == "No such file or directory"


def test_a_whole_jpeg_or_png_is_not_decoded(tmp_path, monkeypatch):
    monkeypatch.setattr(intact, "upright", lambda path: pytest.fail("decoded"))
    for ending in ("jpg", "png"):
        assert damage(put(tmp_path / f"a.{ending}", encoded(ending))) == ""


@pytest.fixture
def task(tmp_path):
    """Of 100 training images, 80 are taken; of 5 test images, 4."""

    def dataset(name, count, taken):
        content = encoded("jpg")
        paths = [put(tmp_path / f"{name}_{number}.jpg", content) for number in range(count)]
        return SimpleNamespace(pictures=Files(paths, [0] * count), indices=np.arange(taken)[::-1])

    return SimpleNamespace(train=dataset("train", 100, 80), test=dataset("test", 5, 4))


@pytest.fixture
def seen(tmp_path):
    return Checked(tmp_path / "results" / "images.npy")


def again(task, seen):
    """As in the next run, which reads the folder anew."""
    for part in (task.train, task.test):
        part.pictures = Files(part.pictures.paths, part.pictures.labels)
    return task, seen


def test_a_task_without_damage_is_checked_once(task, seen, monkeypatch):
    check(task, seen)
    monkeypatch.setattr(intact, "damage", lambda path: pytest.fail("looked at again"))
    check(*again(task, seen))
    monkeypatch.setattr(intact, "marks_of", lambda paths: pytest.fail("not even their dates, by the same run"))
    check(task, seen)


def test_what_is_damaged_is_counted_and_the_first_is_named(task, seen):
    first, second, other = (task.train.pictures.paths[number] for number in (70, 10, 90))
    for path in (first, second, other):  # the last one is not taken
        put(Path(path), encoded("jpg")[:-100])
    with pytest.raises(BadInput) as refused:
        check(task, seen)
    line = f"2 of 80 images can't be read, the first is {first} (image file is truncated"
    assert str(refused.value).startswith(line)
    assert str(refused.value).endswith("): replace them, or leave all such images out with data.skip_corrupt=true")
    assert not seen._file.exists()
    put(Path(first), encoded("jpg"))
    with pytest.raises(BadInput, match=f"^1 of 80 images can't be read, the first is {second} .*: replace it, or "):
        check(*again(task, seen))


def test_what_took_long_is_remembered_though_the_run_is_refused(task, seen, monkeypatch):
    put(Path(task.train.pictures.paths[0]), b"no image")
    monkeypatch.setattr(intact, "EVERY", 0)
    with pytest.raises(BadInput, match="it is not an image"):
        check(task, seen)
    assert len(np.load(seen._file)) == 79


def test_other_data_are_left_alone(seen):
    check(SimpleNamespace(train=SimpleNamespace(texts=["a"]), test=SimpleNamespace(pictures=None)), seen)
