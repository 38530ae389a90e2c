import shutil
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from conf.errors import BadInput
from data import archives, official
from data.official import cars, cub200, indoor67, shenzhen
from data.synthetic import photographs


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    monkeypatch.setattr(archives, "reachable", lambda url: False)


def refused(reader, root, **options):
    with pytest.raises(BadInput) as error:
        reader(str(root), **options)
    assert "\n" not in str(error.value)
    return str(error.value)


def jpeg(path, size=(9, 8), **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (90, 20, 20)).save(path, **options)


BIRDS = ("1 001.Black_footed_Albatross", "2 002.Laysan_Albatross")
IMAGES = ("001.Black_footed_Albatross/B_1.jpg", "001.Black_footed_Albatross/B_2.jpg", "002.Laysan_Albatross/L_3.jpg")


@pytest.fixture
def birds(tmp_path):
    """Three images of two classes, the first of which is for testing."""
    base = tmp_path / "CUB_200_2011"
    for name in IMAGES:
        jpeg(base / "images" / name)
    tables = {"images": IMAGES, "image_class_labels": "112", "train_test_split": "011"}
    for table, values in tables.items():
        (base / f"{table}.txt").write_text("".join(f"{i} {value}\n" for i, value in enumerate(values, 1)))
    (base / "classes.txt").write_text("\n".join(BIRDS) + "\n")
    return base


def test_cub_has_the_official_split_and_readable_names(birds):
    raw = cub200(str(birds.parent))
    assert raw.classes == ("Black footed Albatross", "Laysan Albatross")
    assert (raw.train.labels.tolist(), raw.test.labels.tolist()) == ([0, 1], [0])
    assert raw.train.name(1) == str(birds / "images" / IMAGES[2])
    assert raw.test.open(0).size == (9, 8)
    assert cub200(str(birds.parent)) is raw


def test_cub_that_is_missing_is_named_with_its_address(tmp_path):
    line = (
        f"CUB-200-2011 was not found: {tmp_path}/CUB_200_2011 is expected; get it with data.download=true, or unpack "
    )
    assert refused(cub200, tmp_path) == f"{line}{official.CUB_200} in {tmp_path}"
    line = f"{official.CUB_200} can't be reached (no network): try again later, or put the file at "
    assert refused(cub200, tmp_path, download=True) == f"{line}{tmp_path}/CUB_200_2011.tgz"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("table", ["images", "image_class_labels", "train_test_split", "classes"])
def test_half_of_cub_is_refused(birds, table):
    (birds / f"{table}.txt").unlink()
    assert refused(cub200, birds.parent) == f"{birds} is incomplete: {birds}/{table}.txt is missing"


def test_images_of_cub_that_are_not_on_disk_are_counted(birds):
    for name in IMAGES[1:]:
        (birds / "images" / name).unlink()
    line = f"CUB-200-2011: 2 of the 3 images are missing, the first is {birds}/images/{IMAGES[1]}: unpack the archive "
    assert refused(cub200, birds.parent) == f"{line}again"


@pytest.mark.parametrize(("table", "line", "message"), [
    ("train_test_split", "2 2", r"line 2 of {}/train_test_split.txt does not have the form (\d+) ([01]): '2 2'"),
    ("images", "x", r"line 2 of {}/images.txt does not have the form (\d+) (\S+): 'x'"),
    ("image_class_labels", "2 7", "CUB-200-2011: the tables in {} do not list the same images or classes: unpack"),
    ("image_class_labels", "9 1", "CUB-200-2011: the tables in {} do not list the same images or classes: unpack"),
])  # fmt: skip
def test_tables_of_cub_in_another_form_are_refused(birds, table, line, message):
    file = birds / f"{table}.txt"
    lines = file.read_text().splitlines()
    file.write_text("\n".join([lines[0], line, *lines[2:], ""]))
    assert refused(cub200, birds.parent).startswith(message.format(birds))


@pytest.mark.parametrize("reader", [cub200, cars, indoor67])
def test_made_up_files_are_read_as_the_real_ones_are(tmp_path, reader):
    raw = reader(str(tmp_path), synthetic=2)
    assert len(raw.classes) == 4
    for pictures in (raw.train, raw.test):
        assert np.bincount(pictures.labels).tolist() == [2] * 4
        assert len({pictures.open(i).size for i in range(8)}) > 1
    assert not set(raw.train.paths) & set(raw.test.paths)


@pytest.mark.parametrize("reader", [cub200, cars])
def test_there_are_two_origins(tmp_path, reader):
    line = refused(reader, tmp_path, origin="hub", repository="some/birds")
    assert line.startswith("some/birds was not found: Parquet files of its split train are expected")


@pytest.fixture
def base(tmp_path):
    """Stanford Cars with made-up images, where the real ones belong."""
    folder = photographs.cars(tmp_path / "elsewhere", 1) / "stanford_cars"
    return Path(shutil.copytree(folder, tmp_path / "stanford_cars"))


def test_cars_are_read_in_the_layout_of_torchvision(base):
    raw = cars(str(base.parent))
    assert raw.classes[:2] == ("AM General Hummer SUV 2000", "Acura RL Sedan 2012")
    assert raw.train.labels.tolist() == raw.test.labels.tolist() == [0, 1, 2, 3]
    assert raw.test.name(2) == str(base / "cars_test" / "00003.jpg")


def test_cars_that_are_missing_cannot_be_downloaded(tmp_path):
    for download in (False, True):
        line = refused(cars, tmp_path, download=download)
        assert line.startswith(
            f"Stanford Cars was not found: {tmp_path}/stanford_cars/devkit/cars_meta.mat is missing, "
        )
        assert line.endswith(
            "its official address no longer exists, so nothing can be downloaded: use data.target.files.origin=hub, "
            "or a copy in torchvision's layout"
        )


def test_cars_that_are_half_there_or_damaged_are_refused(base):
    (base / "cars_train" / "00002.jpg").unlink()
    line = f"Stanford Cars: 1 of the 8 images are missing, the first is {base}/cars_train/00002.jpg: unpack"
    assert refused(cars, base.parent).startswith(line)
    (base / "devkit" / "cars_train_annos.mat").write_bytes(b"x" * 200)
    assert refused(cars, base.parent).startswith(f"Stanford Cars: the .mat files in {base} can't be read (")
    (base / "cars_test_annos_withlabels.mat").unlink()
    line = f"Stanford Cars is incomplete: {base}/cars_test_annos_withlabels.mat is missing, of devkit/cars_meta.mat, "
    assert refused(cars, base.parent).startswith(line)


@pytest.fixture
def rooms(tmp_path):
    base = tmp_path / "indoor67"
    jpeg(base / "Images" / "bar" / "1.jpg")
    jpeg(base / "Images" / "bar" / "2.jpg", format="GIF")  # as some of the official files
    jpeg(base / "Images" / "attic" / "a b.jpg")
    (base / "TrainImages.txt").write_text("bar/1.jpg\nattic/a b.jpg\n\n")
    (base / "TestImages.txt").write_text("bar/2.jpg\r\n")
    return base


def test_indoor_has_the_official_split_and_reads_odd_formats(rooms):
    raw = indoor67(str(rooms.parent))
    assert (raw.classes, raw.train.labels.tolist(), raw.test.labels.tolist()) == (("attic", "bar"), [1, 0], [1])
    assert raw.test.open(0).mode == "RGB"
    assert raw.train.open(1).size == (9, 8)


def test_indoor_that_is_not_whole_is_refused(rooms, tmp_path):
    assert refused(indoor67, tmp_path / "x").startswith(
        f"MIT Indoor-67 was not found: {tmp_path}/x/indoor67/Images is expected;"
    )
    (rooms / "TestImages.txt").write_text("bar/2.jpg\ncellar/1.jpg\n")
    line = f"MIT Indoor-67: {rooms}/TestImages.txt has a class that {rooms}/TrainImages.txt does not have: cellar"
    assert refused(indoor67, tmp_path) == line
    (rooms / "TestImages.txt").write_text("bar/3.jpg\n")
    line = f"MIT Indoor-67: 1 of the 3 images are missing, the first is {rooms}/Images/bar/3.jpg: unpack"
    assert refused(indoor67, tmp_path).startswith(line)
    (rooms / "TestImages.txt").unlink()
    assert refused(indoor67, tmp_path) == f"{rooms} is incomplete: {rooms}/TestImages.txt is missing"
    line = "http://web.mit.edu/torralba/www/TestImages.txt can't be reached (no network): try again later, or put the "
    assert refused(indoor67, tmp_path, download=True) == f"{line}file at {rooms}/TestImages.txt"


@pytest.fixture
def lungs(tmp_path):
    """30 X-rays, a third of them with tuberculosis."""
    folder = photographs.shenzhen(tmp_path / "elsewhere", 20) / "ChinaSet_AllFiles"
    for path in sorted((folder / "CXR_png").glob("*_1.png"))[10:]:
        path.unlink()
    return shutil.copytree(folder, tmp_path / "ChinaSet_AllFiles").parent


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.9])
def test_of_made_up_x_rays_there_are_enough_in_both_splits(tmp_path, share):
    raw = shenzhen(str(tmp_path), train_share=share, synthetic=2)
    for pictures in (raw.train, raw.test):
        counts = np.bincount(pictures.labels)
        assert counts[0] == counts[1] >= 2
        assert pictures.open(0).mode == "RGB"
    assert min(len(raw.train.labels), len(raw.test.labels)) == 4


def test_a_part_of_either_class_of_the_x_rays_is_drawn_for_training(lungs):
    raw = shenzhen(str(lungs), train_share=0.3, seed=0)
    assert raw.classes == ("normal", "tuberculosis")
    assert np.bincount(raw.train.labels).tolist() == [6, 3]
    assert np.bincount(raw.test.labels).tolist() == [14, 7]
    assert len({*raw.train.paths, *raw.test.paths}) == 30
    for pictures in (raw.train, raw.test):
        assert [int(path[-5]) for path in pictures.paths] == pictures.labels.tolist()
    shenzhen.cache_clear()
    assert shenzhen(str(lungs), train_share=0.3, seed=0).train.paths == raw.train.paths
    assert shenzhen(str(lungs), train_share=0.3, seed=1).train.paths != raw.train.paths


def test_x_rays_that_cannot_be_used_are_refused(lungs, tmp_path):
    folder = tmp_path / "ChinaSet_AllFiles/CXR_png"
    jpeg(folder / "CHNCXR_0099.png")
    line = f"Shenzhen X-rays: {folder}/CHNCXR_0099.png does not end in _0.png (normal) or _1.png (tuberculosis)"
    assert refused(shenzhen, lungs) == line
    shutil.rmtree(folder)
    assert refused(shenzhen, lungs) == f"Shenzhen X-rays: {folder} holds no .png file: unpack {official.SHENZHEN} again"


def packed(birds):
    with tarfile.open(birds.parent / "CUB_200_2011.tgz", "w:gz") as tar:
        tar.add(birds, birds.name)
    shutil.rmtree(birds)
    return birds.parent


def test_an_archive_that_is_there_is_unpacked_without_network(birds):
    root = packed(birds)
    assert cub200(str(root), download=True).train.labels.tolist() == [0, 1]
    assert sorted(path.name for path in root.iterdir()) == ["CUB_200_2011", "CUB_200_2011.tgz"]


def test_a_damaged_archive_leaves_nothing_half_made(birds):
    root = packed(birds)
    archive = root / "CUB_200_2011.tgz"
    archive.write_bytes(archive.read_bytes()[:200])
    line = refused(cub200, root, download=True)
    assert line.startswith(f"CUB-200-2011: {archive} can't be unpacked (")
    assert line.endswith("): delete it and run the command again")
    assert [path.name for path in root.iterdir()] == ["CUB_200_2011.tgz"]


def test_a_download_is_whole_or_not_there(birds, monkeypatch):
    root = packed(birds)
    away = (root / "CUB_200_2011.tgz").rename(root.parent / "away.tgz")
    monkeypatch.setattr(archives, "reachable", lambda url: True)

    def download(url, folder, name, md5):
        Path(folder, name).write_bytes(away.read_bytes())
        if len(calls) == 0:
            calls.append((url, md5))
            raise RuntimeError("File not found or corrupted.")

    calls = []
    monkeypatch.setattr(archives, "download_url", download)
    line = (
        f"{official.CUB_200} can't be downloaded (File not found or corrupted.): try again, or put the file at {root}/"
    )
    assert refused(cub200, root, download=True).startswith(line)
    assert list(root.iterdir()) == []
    assert calls == [(official.CUB_200, official.CUB_200_MD5)]
    assert cub200(str(root), download=True).test.labels.tolist() == [0]
