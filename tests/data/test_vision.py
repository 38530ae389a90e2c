import gzip
import hashlib
import tarfile

import numpy as np
import pytest
from PIL import Image
from scipy.io import loadmat
from torchvision import datasets

from conf.errors import BadInput
from data import vision
from data.images import task
from data.synthetic import arrays, photographs


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    monkeypatch.setattr(vision, "reachable", lambda url: False)


def md5(path):
    return hashlib.md5(path.read_bytes()).hexdigest()


def numbers(pictures):
    return pictures.labels.tolist()


@pytest.mark.parametrize(("reader", "title", "classes", "side"), [
    ("cifar10", "CIFAR-10", ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
     32),
    ("cifar100", "CIFAR-100", ("apple", "aquarium_fish", "baby", "bear"), 32),
    ("svhn", "SVHN", tuple("0123456789"), 32),
    ("mnist", "MNIST", tuple("0123456789"), 28),
])  # fmt: skip
def test_made_up_small_images_are_read_as_the_real_ones_are(tmp_path, reader, title, classes, side):
    read = getattr(vision, reader)
    raw = read(str(tmp_path), synthetic=3)
    assert raw.classes == classes
    for pictures, split in ((raw.train, "train"), (raw.test, "test")):
        assert np.bincount(pictures.labels).tolist() == [3] * len(classes)
        image = pictures.open(7)
        assert (image.mode, image.size) == ("RGB", (side, side))
        drawn = pictures.pixels[7] if pictures.pixels.ndim == 4 else pictures.pixels[7][..., None].repeat(3, axis=-1)
        np.testing.assert_array_equal(np.asarray(image), drawn)
        assert pictures.name(7) == f"{title} (synthetic), {split} image 7"
    assert (raw.train.pixels != raw.test.pixels).any()
    assert read(str(tmp_path), synthetic=3) is raw


@pytest.mark.parametrize(("reader", "classes"), [
    ("food101", ("apple_pie", "baby_back_ribs", "baklava", "beef_carpaccio")),
    ("aircraft", ("707-320", "727-200", "737-200", "737-300")),
    ("flowers102", tuple(datasets.Flowers102.classes[:4])),
])  # fmt: skip
@pytest.mark.parametrize("per_class", [1, 3])
def test_made_up_photographs_are_read_as_the_real_ones_are(tmp_path, reader, classes, per_class):
    raw = getattr(vision, reader)(str(tmp_path), synthetic=per_class)
    assert raw.classes == classes
    for pictures in (raw.train, raw.test):
        assert np.bincount(pictures.labels).tolist() == [per_class] * 4
        assert len({pictures.open(i).size for i in range(4)}) > 1
    assert not set(raw.train.paths) & set(raw.test.paths)


@pytest.mark.parametrize("reader", ["cifar10", "cifar100", "svhn", "mnist"])
def test_a_draw_of_more_made_up_images_than_there_are_takes_all(tmp_path, reader):
    """An experiment that draws 1,000 images can be tried out with a few."""
    raw = getattr(vision, reader)(str(tmp_path), synthetic=2)
    options = {"crop": 1.0, "augment": "none", "test_samples": None, "seed": 0}
    splits = task(raw, {"size": 32, "mean": 0.5, "std": 0.5}, train_samples=1000, **options)
    assert len(splits.train) == len(raw.train.labels)


@pytest.mark.parametrize("reader", ["cifar100", "svhn", "flowers102"])
def test_made_up_files_are_not_taken_for_the_real_ones(tmp_path, reader):
    getattr(vision, reader)(str(tmp_path), synthetic=1)
    with pytest.raises(BadInput, match="does not have the checksum of the official file"):
        getattr(vision, reader)(str(tmp_path / "synthetic" / f"{reader}-1"))


@pytest.fixture
def house_numbers(tmp_path, monkeypatch):
    root = arrays.svhn(tmp_path, 1)
    known = ((f"{split}_32x32.mat", f"http://svhn/{split}_32x32.mat") for split in ("train", "test"))
    files = {name.partition("_")[0]: (url, name, md5(root / name)) for name, url in known}
    monkeypatch.setattr(datasets.SVHN, "split_list", files)
    return root


def test_svhn_calls_the_digit_0_class_0(house_numbers):
    raw = vision.svhn(str(house_numbers))
    stored = loadmat(house_numbers / "test_32x32.mat")
    assert sorted(stored["y"].ravel()) == list(range(1, 11))
    assert numbers(raw.test) == (stored["y"].ravel() % 10).tolist()
    np.testing.assert_array_equal(np.asarray(raw.test.open(1)), stored["X"][..., 1])
    assert raw.train.name(1) == "SVHN, train image 1"


def test_food_is_read_without_decoding_an_image(tmp_path, monkeypatch):
    root = photographs.food101(tmp_path, 2)
    monkeypatch.setattr(Image, "open", lambda *_: pytest.fail("decoded"))
    raw = vision.food101(str(root))
    assert (numbers(raw.train), numbers(raw.test)) == ([0, 0, 1, 1, 2, 2, 3, 3],) * 2
    assert raw.test.name(1) == str(root / "food-101/images/apple_pie/test_0001.jpg")


@pytest.mark.parametrize(("options", "count"), [({}, 12), ({"split": "train"}, 8)])
def test_aircraft_trains_on_training_and_validation_images_unless_told_otherwise(tmp_path, options, count):
    raw = vision.aircraft(str(photographs.aircraft(tmp_path, 3)), **options)
    assert (len(raw.train.labels), len(raw.test.labels)) == (count, 12)


def test_flowers_trains_on_training_and_validation_images(tmp_path, monkeypatch):
    root = photographs.flowers102(tmp_path, 2)
    known = datasets.Flowers102._file_dict
    mine = {key: (name, md5(root / "flowers-102" / name)) for key, (name, _) in known.items() if key != "image"}
    monkeypatch.setattr(datasets.Flowers102, "_file_dict", known | mine)
    raw = vision.flowers102(str(root))
    assert len(raw.classes) == 102
    assert (numbers(raw.train), numbers(raw.test)) == ([0, 1, 2, 3] * 2, [0, 1, 2, 3] * 2)
    sets = loadmat(root / "flowers-102" / "setid.mat")
    assert {name: sets[name].shape for name in ("trnid", "valid", "tstid")} == {
        "trnid": (1, 4),
        "valid": (1, 4),
        "tstid": (1, 8),
    }
    assert raw.train.name(0).endswith("flowers-102/jpg/image_00001.jpg")


@pytest.mark.parametrize(("reader", "title", "file", "address"), [
    ("cifar10", "CIFAR-10", "cifar-10-batches-py/data_batch_1",
     "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz as"),
    ("cifar100", "CIFAR-100", "cifar-100-python/train", "https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz as"),
    ("svhn", "SVHN", "train_32x32.mat", "http://ufldl.stanford.edu/housenumbers/train_32x32.mat as"),
    ("mnist", "MNIST", "MNIST/raw/train-images-idx3-ubyte",
     "https://ossci-datasets.s3.amazonaws.com/mnist/train-images-idx3-ubyte.gz as"),
    ("food101", "Food-101", "food-101/meta/train.json", "http://data.vision.ee.ethz.ch/cvl/food-101.tar.gz as"),
    ("aircraft", "FGVC-Aircraft", "fgvc-aircraft-2013b/data/variants.txt",
     "https://www.robots.ox.ac.uk/~vgg/data/fgvc-aircraft/archives/fgvc-aircraft-2013b.tar.gz as"),
    ("flowers102", "Flowers-102", "flowers-102/imagelabels.mat",
     "https://www.robots.ox.ac.uk/~vgg/data/flowers/102/102flowers.tgz as"),
])  # fmt: skip
def test_missing_files_are_named_with_where_they_come_from(tmp_path, reader, title, file, address):
    start = f"{title} is not in {tmp_path} ({tmp_path}/{file} and others are expected)"
    with pytest.raises(BadInput) as refused:
        getattr(vision, reader)(str(tmp_path))
    assert str(refused.value).startswith(f"{start}: get it with data.download=true, or put {address} {tmp_path}/")
    assert str(refused.value).endswith("; data.download=true then unpacks it")
    with pytest.raises(BadInput) as refused:
        getattr(vision, reader)(str(tmp_path), download=True)
    assert str(refused.value).startswith(
        f"{start}, and {address.removesuffix(' as')} can't be reached (no network): try again"
    )
    assert list(tmp_path.iterdir()) == []


def test_half_of_a_data_set_is_said_to_be_half(tmp_path):
    root = arrays.mnist(tmp_path, 1)
    (root / "MNIST/raw/t10k-labels-idx1-ubyte").unlink()
    line = rf"^MNIST is incomplete \({root}/MNIST/raw/t10k-labels-idx1-ubyte is missing; delete the rest"
    with pytest.raises(BadInput, match=line):
        vision.mnist(str(root))


def test_images_that_are_listed_but_not_there_are_counted(tmp_path):
    root = photographs.food101(tmp_path, 1)
    for name in ("baklava/train_0000", "beef_carpaccio/train_0000"):
        (root / f"food-101/images/{name}.jpg").unlink()
    line = rf"^Food-101: 2 of the 4 images are missing, the first is {root}/food-101/images/baklava/train_0000"
    with pytest.raises(BadInput, match=line):
        vision.food101(str(root))


def test_a_file_that_is_not_the_official_one_is_named(house_numbers):
    with (house_numbers / "test_32x32.mat").open("ab") as file:
        file.write(b"x")
    name = f"{house_numbers}/test_32x32.mat"
    line = rf"^SVHN is damaged \({name} does not have the checksum of the official file; delete it\)"
    with pytest.raises(BadInput, match=line):
        vision.svhn(str(house_numbers))


def test_a_damaged_file_without_a_checksum_is_refused_in_one_line(tmp_path):
    root = arrays.mnist(tmp_path, 1)
    (root / "MNIST/raw/train-images-idx3-ubyte").write_bytes(b"\x00\x00")
    with pytest.raises(BadInput) as refused:
        vision.mnist(str(root))
    assert str(refused.value).startswith(f"MNIST can't be read from {root}/MNIST/raw (")
    assert "\n" not in str(refused.value)


def test_an_archive_that_is_there_is_unpacked_without_network(tmp_path):
    root = arrays.mnist(tmp_path, 1)
    pixels = vision.mnist(str(tmp_path), synthetic=1).train.pixels
    for file in (root / "MNIST/raw").iterdir():
        file.with_name(f"{file.name}.gz").write_bytes(gzip.compress(file.read_bytes()))
        file.unlink()
    resources = [(name, md5(root / "MNIST/raw" / name)) for name, _ in datasets.MNIST.resources]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(datasets.MNIST, "resources", resources)
        raw = vision.mnist(str(root), download=True)
    np.testing.assert_array_equal(raw.train.pixels, pixels)


def test_an_archive_of_images_is_unpacked(tmp_path):
    with tarfile.open(tmp_path / "fgvc-aircraft-2013b.tar.gz", "w:gz") as tar:
        tar.add(photographs.aircraft(tmp_path, 1) / "fgvc-aircraft-2013b", "fgvc-aircraft-2013b")
    assert numbers(vision.aircraft(str(tmp_path), download=True).train) == [0, 1, 2, 3]


def test_a_download_that_fails_is_told_in_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(vision, "reachable", lambda url: True)

    def fails(self):
        raise OSError("the server\nsaid no")

    monkeypatch.setattr(datasets.SVHN, "download", fails)
    with pytest.raises(BadInput) as refused:
        vision.svhn(str(tmp_path), download=True)
    assert str(refused.value).startswith(f"SVHN is not in {tmp_path} (")
    assert "the server" in str(refused.value)
    assert "\n" not in str(refused.value)
