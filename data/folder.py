"""Image files of one's own, in a folder per class: PATH/train/<class>/*, and PATH/test or PATH/val likewise."""

from functools import cache
from pathlib import Path

import numpy as np
from torchvision.datasets import ImageFolder

from conf.check import BadInput
from data.pictures import Files, Raw

TRAIN, TEST = ("train",), ("test", "val")


@cache
def folder(root: str, path: str | None) -> Raw:
    """path: where it lies, absolute or under `root`. If there is a folder `test`, a folder `val` is left alone."""
    if path is None:
        raise BadInput("data.target.files.path has no value: set it to the folder that holds train/ and test/")
    base = Path(root, path)
    if not base.is_dir():
        raise BadInput(
            f"{base} is not there: {base}/train/<class>/ and {base}/test/<class>/ with image files are wanted"
        )
    (train, classes), (test, others) = (_split(base, names) for names in (TRAIN, TEST))
    if classes != others:
        extra = sorted(set(classes) ^ set(others))[0]
        has = "training" if extra in classes else "test"
        raise BadInput(f"{base}: class {extra} has {has} images only, but both splits want the same classes")
    return Raw(train, test, tuple(classes))


def _split(base: Path, names: tuple[str, ...]) -> tuple[Files, list[str]]:
    found = next((base / name for name in names if (base / name).is_dir()), None)
    if found is None:
        there = ", ".join(sorted(path.name for path in base.iterdir() if path.is_dir())) or "none"
        raise BadInput(
            f"{base} has no folder {' or '.join(names)} with a folder per class in it; folders there: {there}"
        )
    try:
        images = ImageFolder(found, allow_empty=True)
    except FileNotFoundError:
        raise BadInput(f"{found} has no folder in it: one per class is wanted") from None
    labels = np.array(images.targets, dtype=np.int64)
    counts = np.bincount(labels, minlength=len(images.classes))
    if not counts.all():
        raise BadInput(f"{found / images.classes[int(counts.argmin())]} holds no image file: fill it, or delete it")
    return Files([path for path, _ in images.samples], labels), images.classes
