"""Readers of data sets that torchvision does not read or can't download: official archives, unpacked under the root.

They raise BadInput for files that are missing, incomplete or of another form, in one line that says what is expected
where. Each data set is read once per process. synthetic: if above 0, this many synthetic images per class replace the
real files, of four classes or all if there are fewer.
"""

import math
import re
from functools import cache
from pathlib import Path
from typing import Annotated

import numpy as np
from torchvision import datasets

from conf.allowed import Number
from conf.errors import BadInput
from data.archives import download_file, get_folder
from data.arguments import Download, Origin, Repository, Revision, Root, Seed, Synthetic
from data.pictures import Files, Raw, check_there
from data.synthetic import photographs

CUB_200 = "https://data.caltech.edu/records/65de6-vp158/files/CUB_200_2011.tgz"
CUB_200_MD5 = "97eceeb196236b17998738112f37df78"
INDOOR_67 = "http://groups.csail.mit.edu/vision/LabelMe/NewImages/indoorCVPR_09.tar"
INDOOR_67_LISTS = "http://web.mit.edu/torralba/www"
SHENZHEN = "https://openi.nlm.nih.gov/imgs/collections/ChinaSet_AllFiles.zip"
CARS = (
    "devkit/cars_meta.mat",
    "devkit/cars_train_annos.mat",
    "cars_test_annos_withlabels.mat",
    "cars_train",
    "cars_test",
)


@cache
def cub200(
    root: Root,
    download: Download = False,
    synthetic: Synthetic = 0,
    origin: Origin = "files",
    repository: Repository = "",
    revision: Revision = "main",
) -> Raw:
    """Reads CUB-200-2011. origin: files | hub (`repository` at `revision`)."""
    if synthetic:
        root = str(photographs.cub200(root, synthetic))
    elif origin == "hub":
        return _from_hub(repository, revision, root, download)
    base = Path(root, "CUB_200_2011")
    get_folder("CUB-200-2011", CUB_200, base, download, CUB_200_MD5)
    names, labels, train, classes = (
        _table(base / f"{name}.txt", form)
        for name, form in (
            ("images", r"(\d+) (\S+)"),
            ("image_class_labels", r"(\d+) (\d+)"),
            ("train_test_split", r"(\d+) ([01])"),
            ("classes", r"(\d+) (\S+)"),
        )
    )
    if not names.keys() == labels.keys() == train.keys() or not set(labels.values()) <= classes.keys():
        raise BadInput(
            f"CUB-200-2011: the tables in {base} do not list the same images or classes: unpack {CUB_200} again"
        )
    number = {key: i for i, key in enumerate(classes)}
    check_there([base / "images" / name for name in names.values()], "CUB-200-2011")
    splits = []
    for flag in "10":
        mine = [key for key in names if train[key] == flag]
        splits.append(Files([base / "images" / names[key] for key in mine], [number[labels[key]] for key in mine]))
    return Raw(*splits, tuple(_readable(name) for name in classes.values()))


@cache
def cars(
    root: Root,
    download: Download = False,
    synthetic: Synthetic = 0,
    origin: Origin = "files",
    repository: Repository = "",
    revision: Revision = "main",
) -> Raw:
    """Reads Stanford Cars. origin: files | hub (`repository` at `revision`)."""
    if synthetic:
        root = str(photographs.cars(root, synthetic))
    elif origin == "hub":
        return _from_hub(repository, revision, root, download)
    base = Path(root, "stanford_cars")
    missing = [base / name for name in CARS if not (base / name).exists()]
    if missing:
        state = "is incomplete" if len(missing) < len(CARS) else "was not found"
        raise BadInput(
            f"Stanford Cars {state}: {missing[0]} is missing, of {', '.join(CARS)} in {base}; its official address no "
            "longer exists, so nothing can be downloaded: use data.target.files.origin=hub, or a copy in "
            "torchvision's layout"
        )
    try:
        train, test = (datasets.StanfordCars(root, split) for split in ("train", "test"))
    except Exception as error:  # the reader of .mat files raises many kinds of errors for damaged files
        raise BadInput(f"Stanford Cars: the .mat files in {base} can't be read ({error}): get them again") from None
    check_there([path for part in (train, test) for path, _ in part._samples], "Stanford Cars")
    return Raw(*(Files(*zip(*part._samples, strict=True)) for part in (train, test)), tuple(train.classes))


@cache
def indoor67(root: Root, download: Download = False, synthetic: Synthetic = 0) -> Raw:
    """Reads MIT Indoor Scenes, 80 training and 20 test images per class. Some files are not JPEG in spite of their
    name."""
    root = str(photographs.indoor67(root, synthetic)) if synthetic else root
    base = Path(root, "indoor67")
    get_folder("MIT Indoor-67", INDOOR_67, base / "Images", download)
    lists = [base / "TrainImages.txt", base / "TestImages.txt"]
    for path in lists:
        if download and not path.exists():
            download_file(f"{INDOOR_67_LISTS}/{path.name}", base)
    names = [[match[0] for match in _lines(path, r"([^/]+)/[^/]+")] for path in lists]
    classes = sorted({name.split("/")[0] for name in names[0]})
    unknown = sorted({name.split("/")[0] for name in names[1]} - set(classes))
    if unknown:
        raise BadInput(f"MIT Indoor-67: {lists[1]} has a class that {lists[0]} does not have: {unknown[0]}")
    check_there([base / "Images" / name for part in names for name in part], "MIT Indoor-67")
    number = {name: i for i, name in enumerate(classes)}
    splits = (Files([base / "Images" / n for n in part], [number[n.split("/")[0]] for n in part]) for part in names)
    return Raw(*splits, tuple(classes))


@cache
def shenzhen(
    root: Root,
    download: Download = False,
    train_share: Annotated[float, Number(0, 1, without=(0, 1))] = 0.3,
    seed: Seed = 0,
    synthetic: Synthetic = 0,
) -> Raw:
    """Reads Shenzhen Hospital chest X-rays, without or with tuberculosis.

    The data set has no official split: `train_share` of each class is drawn for training with `seed`, the rest is for
    testing. Of synthetic images there are as many as it takes for `synthetic` of each class in both.
    """
    if synthetic:
        root = str(photographs.shenzhen(root, math.ceil(synthetic / min(train_share, 1 - train_share))))
    base = Path(root, "ChinaSet_AllFiles")
    get_folder("Shenzhen X-rays", SHENZHEN, base, download)
    paths = sorted(path for path in (base / "CXR_png").glob("*.png") if not path.name.startswith("."))
    if not paths:
        raise BadInput(f"Shenzhen X-rays: {base / 'CXR_png'} holds no .png file: unpack {SHENZHEN} again")
    odd = [path for path in paths if not path.stem.endswith(("_0", "_1"))]
    if odd:
        raise BadInput(f"Shenzhen X-rays: {odd[0]} does not end in _0.png (normal) or _1.png (tuberculosis)")
    labels = np.array([int(path.stem[-1]) for path in paths])
    draw, training = np.random.default_rng(seed), np.zeros(len(paths), dtype=bool)
    for label in (0, 1):
        mine = draw.permutation(np.flatnonzero(labels == label))
        training[mine[: round(train_share * len(mine))]] = True
    splits = (Files([paths[i] for i in np.flatnonzero(chosen)], labels[chosen]) for chosen in (training, ~training))
    return Raw(*splits, ("normal", "tuberculosis"))


def _from_hub(repository: str, revision: str | None, root: str, download: bool) -> Raw:
    from data.hub import images  # `datasets` takes a second to import

    raw = images(repository, revision, root, download)
    return Raw(raw.train, raw.test, tuple(_readable(name) for name in raw.classes))


def _readable(name: str) -> str:
    """Returns the name in plain words: 001.Black_footed_Albatross -> Black footed Albatross."""
    return re.sub(r"^\d+\.", "", name).replace("_", " ")


def _lines(path: Path, form: str) -> list[re.Match]:
    if not path.is_file():
        raise BadInput(f"{path.parent} is incomplete: {path} is missing")
    matches = []
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="surrogateescape").splitlines(), 1):
        match = re.fullmatch(form, line.strip())
        if match is None and line.strip():
            raise BadInput(f"line {number} of {path} does not have the form {form}: {line[:80]!r}")
        if match is not None:
            matches.append(match)
    return matches


def _table(path: Path, form: str) -> dict[str, str]:
    return dict(match.groups() for match in _lines(path, form))
