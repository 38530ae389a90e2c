"""Readers of the image data sets that torchvision knows: https://docs.pytorch.org/vision/stable/datasets.html

Every reader takes the folder of all data sets and returns both splits. It raises BadInput for files that are missing,
incomplete or damaged, in one line that says what is expected where. Each data set is read once per process. synthetic:
if above 0, this many synthetic images per class replace the real files.
"""

import string
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated

from torchvision import datasets
from torchvision.datasets import utils
from torchvision.datasets.utils import check_integrity

from conf.allowed import Choice
from conf.errors import BadInput
from conf.first_line import first_line
from conf.network import reachable
from data.arguments import Download, Root, Synthetic
from data.pictures import Arrays, Files, Raw, check_there
from data.synthetic import arrays, photographs, unchecked
from stages.progress import Bar

utils.tqdm = Bar  # for torchvision's downloads


@dataclass(frozen=True)
class Expected:
    """The files that a data set needs on disk, and where they come from.

    files: paths under the root with their MD5 (None: any content, or a folder). archives: addresses, each with the path
    under the root where the downloaded file belongs.
    """

    title: str
    files: tuple[tuple[str, str | None], ...]
    archives: tuple[tuple[str, str], ...]


@cache
def cifar10(root: Root, download: Download = False, synthetic: Synthetic = 0) -> Raw:
    if synthetic:
        return _cifar(unchecked.CIFAR10, "CIFAR-10 (synthetic)", str(arrays.cifar10(root, synthetic)), download=False)
    return _cifar(datasets.CIFAR10, "CIFAR-10", root, download)


@cache
def cifar100(root: Root, download: Download = False, synthetic: Synthetic = 0) -> Raw:
    """Reads CIFAR-100 with its 100 fine classes; of synthetic images, four of them."""
    if synthetic:
        return _cifar(unchecked.CIFAR100, "CIFAR-100 (synthetic)", str(arrays.cifar100(root, synthetic)), False)
    return _cifar(datasets.CIFAR100, "CIFAR-100", root, download)


def _cifar(kind: type[datasets.CIFAR10], title: str, root: str, download: bool) -> Raw:
    files = [*kind.train_list, *kind.test_list, (kind.meta["filename"], kind.meta["md5"])]
    expected = Expected(
        title, tuple((f"{kind.base_folder}/{name}", md5) for name, md5 in files), ((kind.url, kind.filename),)
    )

    def read(download: bool) -> Raw:
        train, test = (kind(root, split, download=download) for split in (True, False))
        few = kind.meta["md5"] is None
        splits = (Arrays(s.data, s.targets, f"{title}, {name}", few) for s, name in ((train, "train"), (test, "test")))
        return Raw(*splits, tuple(train.classes))

    return _loaded(expected, root, download, read)


@cache
def svhn(root: Root, download: Download = False, synthetic: Synthetic = 0) -> Raw:
    """Reads SVHN's cropped digits; class 0 is the digit 0."""
    kind, title = datasets.SVHN, "SVHN"
    if synthetic:
        kind, title, root = unchecked.SVHN, "SVHN (synthetic)", str(arrays.svhn(root, synthetic))
    splits = [kind.split_list[split] for split in ("train", "test")]
    expected = Expected(
        title, tuple((name, md5) for _, name, md5 in splits), tuple((url, name) for url, name, _ in splits)
    )

    def read(download: bool) -> Raw:
        both = {split: kind(root, split, download=download) for split in ("train", "test")}
        splits = (
            Arrays(s.data.transpose(0, 2, 3, 1), s.labels, f"{title}, {name}", synthetic > 0)
            for name, s in both.items()
        )
        return Raw(*splits, tuple(string.digits))

    return _loaded(expected, root, download, read)


@cache
def mnist(root: Root, download: Download = False, synthetic: Synthetic = 0) -> Raw:
    root, title = (str(arrays.mnist(root, synthetic)), "MNIST (synthetic)") if synthetic else (root, "MNIST")
    archives = [name for name, _ in datasets.MNIST.resources]
    expected = Expected(
        title,
        tuple((f"MNIST/raw/{name.removesuffix('.gz')}", None) for name in archives),
        tuple((datasets.MNIST.mirrors[0] + name, f"MNIST/raw/{name}") for name in archives),
    )

    def read(download: bool) -> Raw:
        both = {name: datasets.MNIST(root, name == "train", download=download) for name in ("train", "test")}
        splits = (
            Arrays(s.data.numpy(), s.targets.numpy(), f"{title}, {name}", synthetic > 0) for name, s in both.items()
        )
        return Raw(*splits, tuple(string.digits))

    return _loaded(expected, root, download, read)


@cache
def food101(root: Root, download: Download = False, synthetic: Synthetic = 0) -> Raw:
    root = str(photographs.food101(root, synthetic)) if synthetic else root
    expected = Expected(
        "Food-101",
        tuple((f"food-101/{name}", None) for name in ("meta/train.json", "meta/test.json", "images")),
        ((datasets.Food101._URL, "food-101.tar.gz"),),
    )
    return _of_files(expected, root, download, lambda **options: datasets.Food101(root, **options), ["train"])


@cache
def aircraft(
    root: Root,
    download: Download = False,
    split: Annotated[str, Choice(("trainval", "train"))] = "trainval",
    synthetic: Synthetic = 0,
) -> Raw:
    """Reads FGVC-Aircraft, 100 variants. split: the training set, trainval (two thirds of all) | train (one third)."""
    root = str(photographs.aircraft(root, synthetic)) if synthetic else root
    names = ("variants.txt", f"images_variant_{split}.txt", "images_variant_test.txt", "images")
    expected = Expected(
        "FGVC-Aircraft",
        tuple((f"fgvc-aircraft-2013b/data/{name}", None) for name in names),
        ((datasets.FGVCAircraft._URL, "fgvc-aircraft-2013b.tar.gz"),),
    )
    return _of_files(expected, root, download, lambda **options: datasets.FGVCAircraft(root, **options), [split])


@cache
def flowers102(root: Root, download: Download = False, synthetic: Synthetic = 0) -> Raw:
    """Reads Oxford Flowers; its training and validation images together are the training set."""
    kind = datasets.Flowers102
    if synthetic:
        kind, root = unchecked.Flowers102, str(photographs.flowers102(root, synthetic))
    known = kind._file_dict
    expected = Expected(
        "Flowers-102",
        (*((f"flowers-102/{name}", md5) for name, md5 in (known["label"], known["setid"])), ("flowers-102/jpg", None)),
        tuple((kind._download_url_prefix + name, f"flowers-102/{name}") for name, _ in known.values()),
    )
    return _of_files(expected, root, download, lambda **options: kind(root, **options), ["train", "val"])


def _of_files(expected: Expected, root: str, download: bool, make: Callable, training: list[str]) -> Raw:
    """Reads a data set with one file per image; `training` names the splits that form the training set."""

    def read(download: bool) -> Raw:
        both = []
        for names in (training, ["test"]):
            parts = [make(split=name, download=download) for name in names]
            paths = [path for part in parts for path in part._image_files]
            check_there(paths, expected.title)
            both.append(Files(paths, [label for part in parts for label in part._labels]))
        return Raw(*both, tuple(parts[0].classes))

    return _loaded(expected, root, download, read)


def _loaded(expected: Expected, root: str, download: bool, read: Callable[[bool], Raw]) -> Raw:
    try:
        return read(False)
    except BadInput:
        raise
    except Exception as error:  # readers raise many kinds of errors for damaged files
        problem = _problem(expected, Path(root), error)
    places = "; ".join(f"{url} as {Path(root, path)}" for url, path in expected.archives)
    by_hand = f"or put {places}; data.download=true then unpacks it"
    if not download:
        raise BadInput(f"{expected.title} {problem}: get it with data.download=true, {by_hand}")
    for url, path in expected.archives:
        if not Path(root, path).exists() and not reachable(url):
            raise BadInput(
                f"{expected.title} {problem}, and {url} can't be reached (no network): try again later, {by_hand}"
            )
    try:
        return read(True)
    except BadInput:
        raise
    except Exception as error:
        problem = _problem(expected, Path(root), error)
        raise BadInput(f"{expected.title} {problem}: downloading failed ({first_line(error)}), {by_hand}") from None


def _problem(expected: Expected, root: Path, error: Exception) -> str:
    missing = [root / name for name, _ in expected.files if not (root / name).exists()]
    if len(missing) == len(expected.files):
        return f"is not in {root} ({missing[0]} and others are expected)"
    if missing:
        return f"is incomplete ({missing[0]} is missing; delete the rest of it)"
    for name, md5 in expected.files:
        if md5 is not None and not check_integrity(root / name, md5):
            return f"is damaged ({root / name} does not have the checksum of the official file; delete it)"
    folder = (root / expected.files[0][0]).parent
    return f"can't be read from {folder} ({first_line(error)}; delete it)"
