import pytest
from PIL import Image, features
from torchvision.datasets.folder import IMG_EXTENSIONS

from conf.errors import BadInput
from data.folder import endings, folder


@pytest.fixture
def pets(tmp_path):
    for split, number in (("train", 2), ("test", 1)):
        for name in ("cat", "dog"):
            (tmp_path / "pets" / split / name).mkdir(parents=True)
            for i in range(number):
                Image.new("L", (4 + i, 5)).save(tmp_path / "pets" / split / name / f"{i}.png")
    return tmp_path / "pets"


def refused(path):
    with pytest.raises(BadInput) as error:
        folder(str(path.parent), path.name)
    return str(error.value)


@pytest.mark.parametrize("held_out", ["test", "val"])
def test_a_folder_per_class_is_a_data_set(pets, held_out):
    (pets / "test").rename(pets / held_out)
    (pets / "train" / "cat" / "notes.txt").touch()
    raw = folder(str(pets.parent), "pets")
    assert (raw.classes, raw.train.labels.tolist(), raw.test.labels.tolist()) == (("cat", "dog"), [0, 0, 1, 1], [0, 1])
    assert raw.train.name(3) == str(pets / "train" / "dog" / "1.png")
    assert (raw.train.open(3).mode, raw.train.open(3).size) == ("RGB", (5, 5))


def test_the_path_may_be_absolute(pets):
    assert folder("elsewhere", str(pets)).classes == ("cat", "dog")


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    path = tmp_path / "pets"
    line = f"{path} was not found: {path}/train/<class>/ and {path}/test/<class>/ with image files are expected"
    assert refused(path) == line


@pytest.mark.parametrize(("split", "named"), [("train", "train"), ("test", "test or val")])
def test_one_split_is_not_enough(pets, split, named):
    (pets / split).rename(pets / "other")
    there = ", ".join(sorted({"train", "test", "other"} - {split}))
    assert refused(pets) == f"{pets} has no folder {named} with one folder per class; folders found: {there}"


def test_a_split_without_classes_is_refused(pets):
    (pets / "train").rename(pets / "images")
    (pets / "train").mkdir()
    assert refused(pets) == f"{pets}/train has no folder in it: one per class is expected"


def test_a_class_without_images_is_refused(pets):
    (pets / "test" / "dog" / "0.png").rename(pets / "test" / "dog" / "0.txt")
    line = (
        f"{pets}/test/dog contains no image file, but files with other endings: .txt (1): add images to it, or delete "
    )
    line += "it"
    assert refused(pets) == line
    (pets / "test" / "dog" / "0.txt").rename(pets / "test" / "dog" / ".DS_Store")
    assert refused(pets) == f"{pets}/test/dog contains no image file: add images to it, or delete it"


def test_all_that_pillow_can_read_is_taken(pets):
    frames = [Image.new("RGB", (4, 5), colour) for colour in ("red", "blue")]
    frames[0].save(pets / "train" / "cat" / "film.GIF", save_all=True, append_images=frames[1:])
    frames[0].save(pets / "train" / "cat" / "other.jfif", "JPEG")
    train = folder(str(pets.parent), "pets").train
    assert [train.name(i).rsplit("/", 1)[1] for i in range(4)] == ["0.png", "1.png", "film.GIF", "other.jfif"]
    assert train.open(2).getpixel((0, 0)) == (255, 0, 0)  # the first of its frames


def test_endings_are_those_of_pictures():
    assert set(IMG_EXTENSIONS) <= endings()
    assert {".gif", ".jfif", ".jp2"} <= endings()
    assert not {".pdf", ".eps", ".ps", ".mpg", ".h5", ".fits", ".pfm", ".txt", ".heic", ""} & endings()
    assert (".avif" in endings()) == features.check("avif")


def test_what_is_left_out_is_said_once_for_each_split(pets, capsys):
    for name in ("a.txt", "b.TXT", "c.heic", ".DS_Store", "Thumbs.db", "._0.png", "LICENCE"):
        (pets / "train" / "cat" / name).touch()
    (pets / "test" / "dog" / "a.txt").touch()
    for _ in range(2):
        assert len(folder(str(pets.parent), "pets").train.labels) == 4
    assert capsys.readouterr().out.splitlines() == [
        f"4 files in {pets}/train are not readable images and are left out: .txt (2), no ending (1), .heic (1)",
        f"1 file in {pets}/test is not a readable image and is left out: .txt (1)",
    ]


def test_nothing_is_said_of_images_and_hidden_files(pets, capsys):
    (pets / "train" / "cat" / ".DS_Store").touch()
    folder(str(pets.parent), "pets")
    assert capsys.readouterr().out == ""


def test_no_more_than_a_few_endings_are_named(pets, capsys):
    for number in range(12):
        (pets / "train" / "cat" / f"x.{number:03}").touch()
    folder(str(pets.parent), "pets")
    line = capsys.readouterr().out
    assert line.startswith("12 files")
    assert line.endswith(".006 (1), .007 (1), ...\n")


@pytest.mark.parametrize(("split", "has"), [("train", "training"), ("test", "test")])
def test_classes_that_differ_are_refused(pets, split, has):
    (pets / split / "eel").mkdir()
    Image.new("L", (4, 5)).save(pets / split / "eel" / "0.png")
    assert refused(pets) == f"{pets}: class eel has {has} images only, but both splits need the same classes"
