"""Reads the user's own image files, in a folder per class: PATH/train/<class>/*, and PATH/test or PATH/val likewise."""

from collections import Counter
from functools import cache
from pathlib import Path
from typing import Annotated

import numpy as np
from PIL import Image
from torchvision.datasets import ImageFolder

from conf.allowed import Place
from conf.errors import BadInput
from data.arguments import Root
from data.pictures import Files, Raw

TRAIN, TEST = ("train",), ("test", "val")
# Formats that Pillow opens, but not as pictures: BUFR, EPS, GRIB, HDF5 and WMF only with the help of other programs;
# FLI and MPEG are films; FITS and PFM hold numbers without a scale.
NO_PICTURES, NUMBERS = {"BUFR", "EPS", "FITS", "FLI", "GRIB", "HDF5", "MPEG", "WMF"}, {".pfm"}
SYSTEM_FILES = {"thumbs.db", "ehthumbs.db", "desktop.ini"}  # what Windows leaves in a folder of pictures
ENDINGS_SHOWN = 8


@cache
def folder(root: Root, path: Annotated[str, Place("the folder that holds train/ and test/")]) -> Raw:
    """Reads the images in `path`, absolute or under `root`. A folder `val` is ignored if a folder `test` exists.

    Prints which files of a split are left out because they are not images.
    """
    base = Path(root, path)
    if not base.is_dir():
        state = "is a file" if base.exists() else "was not found"
        raise BadInput(f"{base} {state}: {base}/train/<class>/ and {base}/test/<class>/ with image files are expected")
    (train, classes), (test, others) = (_split(base, names) for names in (TRAIN, TEST))
    if classes != others:
        extra = sorted(set(classes) ^ set(others))[0]
        has = "training" if extra in classes else "test"
        raise BadInput(f"{base}: class {extra} has {has} images only, but both splits need the same classes")
    return Raw(train, test, tuple(classes))


@cache
def endings() -> frozenset[str]:
    """Returns the file endings that this Pillow can read as a picture, in lower case: .jpg, .gif, .avif if it has the
    decoder."""
    known = Image.registered_extensions()
    return frozenset(ending for ending, name in known.items() if name in Image.OPEN.keys() - NO_PICTURES) - NUMBERS


def _split(base: Path, names: tuple[str, ...]) -> tuple[Files, list[str]]:
    found = next((base / name for name in names if (base / name).is_dir()), None)
    if found is None:
        there = ", ".join(sorted(path.name for path in base.iterdir() if path.is_dir())) or "none"
        raise BadInput(f"{base} has no folder {' or '.join(names)} with one folder per class; folders found: {there}")
    left_out: list[Path] = []
    try:
        images = ImageFolder(found, is_valid_file=lambda path: _taken(Path(path), left_out), allow_empty=True)
    except FileNotFoundError:
        raise BadInput(f"{found} has no folder in it: one per class is expected") from None
    labels = np.array(images.targets, dtype=np.int64)
    counts = np.bincount(labels, minlength=len(images.classes))
    if not counts.all():
        empty = found / images.classes[int(counts.argmin())]
        others = [path for path in left_out if path.is_relative_to(empty)]
        but = f", but files with other endings: {_counted(others)}" if others else ""
        raise BadInput(f"{empty} contains no image file{but}: add images to it, or delete it")
    if left_out:
        _tell(left_out, found)
    return Files([path for path, _ in images.samples], labels), images.classes


def _taken(path: Path, left_out: list[Path]) -> bool:
    """Returns whether the file is a picture; adds other files to `left_out`, unless they are hidden."""
    if path.name.startswith(".") or path.name.lower() in SYSTEM_FILES:
        return False
    if path.suffix.lower() in endings():
        return True
    left_out.append(path)
    return False


def _tell(left_out: list[Path], found: Path) -> None:
    one = len(left_out) == 1
    files, are, images = ("file", "is", "not a readable image") if one else ("files", "are", "not readable images")
    line = f"{len(left_out)} {files} in {found} {are} {images} and {are} left out"
    print(f"{line}: {_counted(left_out)}", flush=True)


def _counted(files: list[Path]) -> str:
    """Returns the files' endings, the most frequent first: .txt (10), .heic (2)."""
    counts = Counter(path.suffix.lower() or "no ending" for path in files).most_common()
    shown = [f"{ending} ({count})" for ending, count in counts[:ENDINGS_SHOWN]]
    return ", ".join(shown + ["..."] * (len(counts) > ENDINGS_SHOWN))
