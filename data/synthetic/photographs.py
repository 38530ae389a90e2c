"""Synthetic data sets with a file per image, of different sizes: the first four classes of each (X-rays: both), with
`per_class` images of each class in the training and in the test set."""

import json
from itertools import product
from pathlib import Path

import numpy as np
from scipy.io import savemat

from data.synthetic.once import once
from data.synthetic.pictures import picture

BIRDS = ("001.Black_footed_Albatross", "002.Laysan_Albatross", "003.Sooty_Albatross", "004.Groove_billed_Ani")
CARS = ("AM General Hummer SUV 2000", "Acura RL Sedan 2012", "Acura TL Sedan 2012", "Acura TL Type-S 2008")
DISHES = ("apple_pie", "baby_back_ribs", "baklava", "beef_carpaccio")
PLANES = ("707-320", "727-200", "737-200", "737-300")
ROOMS = ("airport_inside", "artstudio", "auditorium", "bakery")
SPLITS = ("train", "test")


@once
def cub200(folder: Path, per_class: int) -> None:
    """Writes CUB-200-2011: images and tables of their classes and splits."""
    base, files = folder / "CUB_200_2011", []
    for label, split, number in product(range(4), SPLITS, range(per_class)):
        name = f"{BIRDS[label]}/{BIRDS[label][4:]}_{split}_{number:04}.jpg"
        _write_image(base / "images" / name, label, split, number)
        files.append((name, label, split))
    tables = {
        "images": [name for name, _, _ in files],
        "image_class_labels": [label + 1 for _, label, _ in files],
        "train_test_split": [int(split == "train") for *_, split in files],
        "classes": BIRDS,
    }
    for table, values in tables.items():
        _write_lines(base / f"{table}.txt", [f"{number} {value}" for number, value in enumerate(values, 1)])


@once
def cars(folder: Path, per_class: int) -> None:
    """Writes Stanford Cars in the layout of torchvision."""
    base = folder / "stanford_cars"
    (base / "devkit").mkdir(parents=True)
    annotations = {"train": base / "devkit/cars_train_annos.mat", "test": base / "cars_test_annos_withlabels.mat"}
    for split, path in annotations.items():
        rows = np.empty(4 * per_class, dtype=[("class", object), ("fname", object)])
        for row, (label, number) in enumerate(product(range(4), range(per_class))):
            rows[row] = (label + 1, f"{row + 1:05}.jpg")
            _write_image(base / f"cars_{split}" / f"{row + 1:05}.jpg", label, split, number)
        savemat(path, {"annotations": rows})
    savemat(base / "devkit" / "cars_meta.mat", {"class_names": np.array(CARS, dtype=object)})


@once
def food101(folder: Path, per_class: int) -> None:
    """Writes Food-101: a folder per class, and the lists of both splits as JSON."""
    base = folder / "food-101"
    (base / "meta").mkdir(parents=True)
    for split in SPLITS:
        listed = {dish: [f"{dish}/{split}_{number:04}" for number in range(per_class)] for dish in DISHES}
        for label, names in enumerate(listed.values()):
            for number, name in enumerate(names):
                _write_image(base / "images" / f"{name}.jpg", label, split, number)
        (base / "meta" / f"{split}.json").write_text(json.dumps(listed))


@once
def aircraft(folder: Path, per_class: int) -> None:
    """Writes FGVC-Aircraft. Every second training image is in the list `train`, the others are in `val`."""
    base, lists = folder / "fgvc-aircraft-2013b" / "data", {name: [] for name in ("train", "val", "trainval", "test")}
    for count, (split, number, label) in enumerate(product(SPLITS, range(per_class), range(4))):
        _write_image(base / "images" / f"{count:07}.jpg", label, split, number)
        for name in ["test"] if split == "test" else ["trainval", ("train", "val")[number % 2]]:
            lists[name].append(f"{count:07} {PLANES[label]}")
    for name, lines in lists.items():
        _write_lines(base / f"images_variant_{name}.txt", lines)
    _write_lines(base / "variants.txt", PLANES)


@once
def flowers102(folder: Path, per_class: int) -> None:
    """Writes Oxford Flowers-102. Every second training image is in the set `trnid`, the others are in `valid`."""
    base, labels, sets = folder / "flowers-102", [], {"trnid": [], "valid": [], "tstid": []}
    for split, number, label in product(SPLITS, range(per_class), range(4)):
        labels.append(label + 1)
        sets["tstid" if split == "test" else ("trnid", "valid")[number % 2]].append(len(labels))
        _write_image(base / "jpg" / f"image_{len(labels):05}.jpg", label, split, number)
    savemat(base / "imagelabels.mat", {"labels": [labels]})
    savemat(base / "setid.mat", {name: np.array([numbers], dtype=int) for name, numbers in sets.items()})


@once
def indoor67(folder: Path, per_class: int) -> None:
    """Writes MIT Indoor-67: a folder per class, and the lists of both splits."""
    base = folder / "indoor67"
    for split in SPLITS:
        rows = list(product(range(4), range(per_class)))
        names = [f"{ROOMS[label]}/{split}_{number:04}.jpg" for label, number in rows]
        for name, (label, number) in zip(names, rows, strict=True):
            _write_image(base / "Images" / name, label, split, number)
        _write_lines(base / f"{split.title()}Images.txt", names)


@once
def shenzhen(folder: Path, per_class: int) -> None:
    """Writes `per_class` X-rays without and as many with tuberculosis; they have no split."""
    for count, (label, number) in enumerate(product(range(2), range(per_class)), 1):
        path = folder / "ChinaSet_AllFiles" / "CXR_png" / f"CHNCXR_{count:04}_{label}.png"
        _write_image(path, label, "train", number, mode="L")


def _write_image(path: Path, label: int, split: str, number: int, mode: str = "RGB") -> None:
    draw = np.random.default_rng([1, label, SPLITS.index(split), number])
    path.parent.mkdir(parents=True, exist_ok=True)
    image = picture(draw, label, 4, tuple(draw.integers(40, 91, size=2).tolist()))
    image.convert(mode).save(path, quality=95)


def _write_lines(path: Path, lines: list[str]) -> None:
    path.write_text("".join(f"{line}\n" for line in lines))
