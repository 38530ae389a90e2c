"""Writes tiny synthetic data sets in the official formats, for the real readers where the real files are missing."""

import colorsys
import pickle
import string
from collections.abc import Callable
from itertools import product
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from scipy.io import savemat

from conf.errors import BadInput
from stages.files import folder_beside
from stages.space import is_no_space

CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
BIRDS = ("001.Black_footed_Albatross", "002.Laysan_Albatross", "003.Sooty_Albatross", "004.Groove_billed_Ani")
CARS = ("AM General Hummer SUV 2000", "Acura RL Sedan 2012", "Acura TL Sedan 2012", "Acura TL Type-S 2008")
SPLITS = ("train", "test")

# A sentence of polarity p has one word of each column; words of opinion depend on p, the others do not.
SUBJECTS = "actor director camera script cast hero plot music"
OBJECTS = "story drama comedy thriller portrait romance debut sequel"
DETAILS = "dialogue scenes humor images twists songs moments emotion"
VERBS = ("wastes ruins spoils buries", "lifts saves carries enriches")
QUALITIES = (
    "dull clumsy tedious bland shallow awful lifeless stale",
    "brilliant moving witty gentle superb honest lively fresh",
)
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def cifar10(root: str | Path, per_class: int) -> Path:
    """Writes training and test images, `per_class` of each class in each, as the pickled batches of CIFAR-10 for
    Python.

    Returns the folder to read from in place of `root`; the other functions here do so too.
    """
    return _once(Path(root, "synthetic", f"cifar10-{per_class}"), lambda folder: _write_cifar10(folder, per_class))


def cub200(root: str | Path, per_class: int) -> Path:
    """Writes the first four classes of CUB-200-2011, JPEG files of different sizes."""
    return _once(Path(root, "synthetic", f"cub200-{per_class}"), lambda folder: _write_cub200(folder, per_class))


def cars(root: str | Path, per_class: int) -> Path:
    """Writes the first four classes of Stanford Cars, JPEG files of different sizes."""
    return _once(Path(root, "synthetic", f"cars-{per_class}"), lambda folder: _write_cars(folder, per_class))


def sst2(root: str | Path, per_class: int) -> Path:
    """Writes short reviews, all different, as GLUE's SST-2/{train,dev}.tsv, and a vocabulary in BERT's format with
    them."""
    most = len(_sentences(0)) // 2
    if per_class > most:
        raise BadInput(
            f"data.synthetic={per_class} is not allowed: at most {most} sentences per class can be generated"
        )
    return _once(Path(root, "synthetic", f"sst2-{per_class}"), lambda folder: _write_sst2(folder, per_class))


def _once(folder: Path, write: Callable[[Path], None]) -> Path:
    """Writes the folder unless it exists, under another name first: so a folder that exists is complete."""
    if folder.exists():
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with folder_beside(folder) as beside:
            written = beside / folder.name
            write(written)
            if not folder.exists():
                written.rename(folder)
    except OSError as error:
        if is_no_space(error):
            raise
        if not folder.exists():  # else another process was faster
            raise BadInput(f"data.root: can't write to {folder.parent} ({error.strerror})") from None
    return folder


def _write_cifar10(folder: Path, per_class: int) -> None:
    batches = folder / "cifar-10-batches-py"
    batches.mkdir(parents=True)
    for stream, (split, parts) in enumerate((("data_batch_{}", 5), ("test_batch", 1))):
        draw = np.random.default_rng([0, stream])
        labels = draw.permutation(np.repeat(np.arange(10), per_class))
        pixels = np.stack([np.asarray(_picture(draw, label, 10, (32, 32))) for label in labels])
        rows = pixels.transpose(0, 3, 1, 2).reshape(-1, 3072)  # channel by channel, as the official files
        for part, mine in enumerate(np.array_split(np.arange(len(labels)), parts), 1):
            batch = {"data": rows[mine], "labels": labels[mine].tolist()}
            (batches / split.format(part)).write_bytes(pickle.dumps(batch))
    (batches / "batches.meta").write_bytes(pickle.dumps({"label_names": list(CIFAR10)}))


def _write_cub200(folder: Path, per_class: int) -> None:
    base, files = folder / "CUB_200_2011", []
    for label, split, number in product(range(4), SPLITS, range(per_class)):
        name = f"{BIRDS[label]}/{BIRDS[label][4:]}_{split}_{number:04}.jpg"
        _write_jpeg(base / "images" / name, label, split, number)
        files.append((name, label, split))
    tables = {
        "images": [name for name, _, _ in files],
        "image_class_labels": [label + 1 for _, label, _ in files],
        "train_test_split": [int(split == "train") for *_, split in files],
        "classes": BIRDS,
    }
    for table, values in tables.items():
        lines = [f"{number} {value}\n" for number, value in enumerate(values, 1)]
        (base / f"{table}.txt").write_text("".join(lines))


def _write_cars(folder: Path, per_class: int) -> None:
    base = folder / "stanford_cars"
    (base / "devkit").mkdir(parents=True)
    annotations = {"train": base / "devkit/cars_train_annos.mat", "test": base / "cars_test_annos_withlabels.mat"}
    for split, path in annotations.items():
        rows = np.empty(4 * per_class, dtype=[("class", object), ("fname", object)])
        for row, (label, number) in enumerate(product(range(4), range(per_class))):
            rows[row] = (label + 1, f"{row + 1:05}.jpg")
            _write_jpeg(base / f"cars_{split}" / f"{row + 1:05}.jpg", label, split, number)
        savemat(path, {"annotations": rows})
    savemat(base / "devkit" / "cars_meta.mat", {"class_names": np.array(CARS, dtype=object)})


def _write_jpeg(path: Path, label: int, split: str, number: int) -> None:
    draw = np.random.default_rng([1, label, SPLITS.index(split), number])
    path.parent.mkdir(parents=True, exist_ok=True)
    _picture(draw, label, 4, tuple(draw.integers(40, 91, size=2).tolist())).save(path, quality=95)


def _picture(draw: np.random.Generator, label: int, classes: int, size: tuple[int, int]) -> Image.Image:
    """Draws a shape in the colour of its class, at a random place on grey noise. size: width, height in pixels."""
    width, height = size
    noise = draw.integers(60, 160, size=(height, width, 1), dtype=np.uint8).repeat(3, axis=2)
    image = Image.fromarray(noise)
    colour = tuple(round(255 * part) for part in colorsys.hsv_to_rgb(label / classes, 0.8, 0.9))
    left, top = draw.uniform(0.1, 0.4, size=2) * size
    right, bottom = draw.uniform(0.6, 0.9, size=2) * size
    pen = ImageDraw.Draw(image)
    (pen.ellipse if label % 2 else pen.rectangle)((left, top, right, bottom), fill=colour)
    return image


def _sentences(polarity: int) -> list[str]:
    """Returns all possible sentences, with six content words each."""
    opinions, verbs = QUALITIES[polarity], VERBS[polarity]
    columns = (words.split() for words in (opinions, SUBJECTS, verbs, OBJECTS, opinions, DETAILS))
    return [
        f"the {first} {subject} {verb} this {object} with {second} {detail} ."
        for first, subject, verb, object, second, detail in product(*columns)
        if first != second
    ]


def _write_sst2(folder: Path, per_class: int) -> None:
    base, draw = folder / "SST-2", np.random.default_rng(2)
    base.mkdir(parents=True)
    drawn = [draw.choice(_sentences(polarity), size=2 * per_class, replace=False) for polarity in (0, 1)]
    for split, mine in (("train", slice(per_class)), ("dev", slice(per_class, None))):
        lines = [f"{sentence}\t{polarity}\n" for polarity in (0, 1) for sentence in drawn[polarity][mine]]
        (base / f"{split}.tsv").write_text("sentence\tlabel\n" + "".join(draw.permutation(lines)))
    words = sorted({word for polarity in (0, 1) for sentence in drawn[polarity] for word in sentence.split()})
    letters = string.ascii_lowercase
    vocabulary = [*SPECIAL, *letters, *(f"##{letter}" for letter in letters), *words]
    (base / "vocab.txt").write_text("\n".join(vocabulary) + "\n")
