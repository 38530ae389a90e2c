import gzip
import hashlib
import json
import struct
import tarfile

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat
from torchvision import datasets

from conf.errors import BadInput
from data import vision

ROOM = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    monkeypatch.setattr(vision, "reachable", lambda url: False)


def jpeg(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(ROOM.integers(256, size=(8, 9, 3), dtype=np.uint8)).save(path)


def md5(path):
    return hashlib.md5(path.read_bytes()).hexdigest()


def numbers(pictures):
    return pictures.labels.tolist()


def test_made_up_cifar10_is_read_as_the_real_one_is(tmp_path):
    raw = vision.cifar10(str(tmp_path), synthetic=3)
    assert raw.classes == ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
    for pictures, split in ((raw.train, "train"), (raw.test, "test")):
        assert np.bincount(pictures.labels).tolist() == [3] * 10
        image = pictures.open(17)
        assert (image.mode, image.size) == ("RGB", (32, 32))
        np.testing.assert_array_equal(np.asarray(image), pictures.pixels[17])
        assert pictures.name(17) == f"CIFAR-10 (synthetic), {split} image 17"
    assert vision.cifar10(str(tmp_path), synthetic=3) is raw


def write_svhn(root, monkeypatch, labels=(10, 1, 9)):
    pixels = ROOM.integers(256, size=(32, 32, 3, len(labels)), dtype=np.uint8)
    known = {}
    for split in ("train", "test"):
        file = root / f"{split}_32x32.mat"
        savemat(file, {"X": pixels, "y": np.array(labels, dtype=np.uint8)[:, None]})
        known[split] = [f"http://svhn/{file.name}", file.name, md5(file)]
    monkeypatch.setattr(datasets.SVHN, "split_list", known)
    return pixels


def test_svhn_calls_the_digit_0_class_0(tmp_path, monkeypatch):
    pixels = write_svhn(tmp_path, monkeypatch)
    raw = vision.svhn(str(tmp_path))
    assert raw.classes == tuple("0123456789")
    assert numbers(raw.train) == numbers(raw.test) == [0, 1, 9]
    np.testing.assert_array_equal(np.asarray(raw.test.open(1)), pixels[..., 1])
    assert raw.train.name(1) == "SVHN, train image 1"


def write_mnist(root, count=4):
    folder = root / "MNIST" / "raw"
    folder.mkdir(parents=True)
    pixels = ROOM.integers(256, size=(count, 28, 28), dtype=np.uint8)
    for split in ("train", "t10k"):
        (folder / f"{split}-images-idx3-ubyte").write_bytes(struct.pack(">4i", 2051, count, 28, 28) + pixels.tobytes())
        (folder / f"{split}-labels-idx1-ubyte").write_bytes(struct.pack(">2i", 2049, count) + bytes(range(count)))
    return pixels


def test_mnist_is_read_and_becomes_rgb(tmp_path):
    pixels = write_mnist(tmp_path)
    raw = vision.mnist(str(tmp_path))
    assert (raw.classes, numbers(raw.train)) == (tuple("0123456789"), [0, 1, 2, 3])
    image = raw.test.open(2)
    assert (image.mode, image.size) == ("RGB", (28, 28))
    np.testing.assert_array_equal(np.asarray(image), pixels[2][..., None].repeat(3, axis=-1))


def write_food(root):
    for split, names in (("train", ("0", "1")), ("test", ("2",))):
        listed = {name: [f"{name}/{number}" for number in names] for name in ("waffles", "pho")}
        for paths in listed.values():
            for path in paths:
                jpeg(root / "food-101" / "images" / f"{path}.jpg")
        meta = root / "food-101" / "meta"
        meta.mkdir(exist_ok=True)
        (meta / f"{split}.json").write_text(json.dumps(listed))


def test_food_is_read_without_decoding_an_image(tmp_path, monkeypatch):
    write_food(tmp_path)
    monkeypatch.setattr(Image, "open", lambda *_: pytest.fail("decoded"))
    raw = vision.food101(str(tmp_path))
    assert raw.classes == ("pho", "waffles")
    assert (numbers(raw.train), numbers(raw.test)) == ([1, 1, 0, 0], [1, 0])
    assert raw.test.name(1) == str(tmp_path / "food-101/images/pho/2.jpg")


def write_aircraft(root):
    base = root / "fgvc-aircraft-2013b" / "data"
    for number in range(6):
        jpeg(base / "images" / f"{number:07}.jpg")
    (base / "variants.txt").write_text("707-320\nA340 200\n")
    for split, mine in (("train", (0, 1)), ("val", (2, 3)), ("trainval", (0, 1, 2, 3)), ("test", (4, 5))):
        lines = [f"{number:07} {('707-320', 'A340 200')[number % 2]}\n" for number in mine]
        (base / f"images_variant_{split}.txt").write_text("".join(lines))


@pytest.mark.parametrize(("options", "labels"), [({}, [0, 1, 0, 1]), ({"split": "train"}, [0, 1])])
def test_aircraft_trains_on_training_and_validation_images_unless_told_otherwise(tmp_path, options, labels):
    write_aircraft(tmp_path)
    raw = vision.aircraft(str(tmp_path), **options)
    assert (raw.classes, numbers(raw.train), numbers(raw.test)) == (("707-320", "A340 200"), labels, [0, 1])
    assert raw.test.open(0).size == (9, 8)


def write_flowers(root, monkeypatch):
    base = root / "flowers-102"
    for number in range(1, 7):
        jpeg(base / "jpg" / f"image_{number:05}.jpg")
    savemat(base / "imagelabels.mat", {"labels": [[1, 2, 3, 102, 5, 6]]})
    savemat(base / "setid.mat", {"trnid": [[4, 1]], "valid": [[2, 5]], "tstid": [[3, 6]]})
    known = datasets.Flowers102._file_dict
    mine = {key: (name, md5(base / name)) for key, (name, _) in known.items() if key != "image"}
    monkeypatch.setattr(datasets.Flowers102, "_file_dict", known | mine)


def test_flowers_trains_on_training_and_validation_images(tmp_path, monkeypatch):
    write_flowers(tmp_path, monkeypatch)
    raw = vision.flowers102(str(tmp_path))
    assert len(raw.classes) == 102
    assert (numbers(raw.train), numbers(raw.test)) == ([101, 0, 1, 4], [2, 5])
    assert raw.train.name(0).endswith("flowers-102/jpg/image_00004.jpg")


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
    write_mnist(tmp_path)
    (tmp_path / "MNIST/raw/t10k-labels-idx1-ubyte").unlink()
    line = rf"^MNIST is incomplete \({tmp_path}/MNIST/raw/t10k-labels-idx1-ubyte is missing; delete the rest"
    with pytest.raises(BadInput, match=line):
        vision.mnist(str(tmp_path))


def test_images_that_are_listed_but_not_there_are_counted(tmp_path):
    write_food(tmp_path)
    for name in ("waffles/1", "pho/0"):
        (tmp_path / f"food-101/images/{name}.jpg").unlink()
    line = rf"^Food-101: 2 of the 4 images are missing, the first is {tmp_path}/food-101/images/waffles/1.jpg: unpack"
    with pytest.raises(BadInput, match=line):
        vision.food101(str(tmp_path))


def test_a_file_that_is_not_the_official_one_is_named(tmp_path, monkeypatch):
    write_svhn(tmp_path, monkeypatch)
    with (tmp_path / "test_32x32.mat").open("ab") as file:
        file.write(b"x")
    line = rf"^SVHN is damaged \({tmp_path}/test_32x32.mat does not have the checksum of the official file; delete it\)"
    with pytest.raises(BadInput, match=line):
        vision.svhn(str(tmp_path))


def test_a_damaged_file_without_a_checksum_is_refused_in_one_line(tmp_path):
    write_mnist(tmp_path)
    (tmp_path / "MNIST/raw/train-images-idx3-ubyte").write_bytes(b"\x00\x00")
    with pytest.raises(BadInput) as refused:
        vision.mnist(str(tmp_path))
    assert str(refused.value).startswith(f"MNIST can't be read from {tmp_path}/MNIST/raw (")
    assert "\n" not in str(refused.value)


def test_an_archive_that_is_there_is_unpacked_without_network(tmp_path):
    pixels = write_mnist(tmp_path)
    for file in (tmp_path / "MNIST/raw").iterdir():
        file.with_name(f"{file.name}.gz").write_bytes(gzip.compress(file.read_bytes()))
        file.unlink()
    resources = [(name, md5(tmp_path / "MNIST/raw" / name)) for name, _ in datasets.MNIST.resources]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(datasets.MNIST, "resources", resources)
        raw = vision.mnist(str(tmp_path), download=True)
    np.testing.assert_array_equal(raw.train.pixels, pixels)


def test_an_archive_of_images_is_unpacked(tmp_path):
    write_aircraft(tmp_path / "elsewhere")
    archive = tmp_path / "fgvc-aircraft-2013b.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(tmp_path / "elsewhere" / "fgvc-aircraft-2013b", "fgvc-aircraft-2013b")
    assert numbers(vision.aircraft(str(tmp_path), download=True).train) == [0, 1, 0, 1]


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
