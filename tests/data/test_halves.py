"""Two parts of a test set: balanced, without a common image, drawn by the seed."""

import re

import numpy as np
import pytest
from omegaconf import OmegaConf
from PIL import Image

from conf.errors import BadInput
from data.halves import halves
from data.pictures import Arrays, Files, Raw
from data.splits import build
from data.vision import cifar10

LABELS = np.repeat([0, 1, 2], [60, 50, 40])


def numbered(few=False):
    """A data set whose image i has the grey value i."""
    pixels = np.zeros((150, 4, 4), np.uint8) + np.arange(150, dtype=np.uint8)[:, None, None]
    return Raw(Arrays(pixels[:3], [0, 1, 2], "train"), Arrays(pixels, LABELS, "test", few), ("a", "b", "c"))


def values(pictures):
    return [pictures.open(index).getpixel((0, 0))[0] for index in range(len(pictures.labels))]


def test_the_parts_are_balanced_and_have_no_image_in_common():
    found = halves(numbered(), train=60, test=60, seed=0)
    assert found.classes == ("a", "b", "c")
    for part in (found.train, found.test):
        assert np.bincount(part.labels).tolist() == [20, 20, 20]
        assert LABELS[values(part)].tolist() == part.labels.tolist()
    train, test = values(found.train), values(found.test)
    assert len({*train, *test}) == 120
    assert found.train.name(0) == f"test image {train[0]}"


def test_the_seed_draws_them():
    first, again, other = (values(halves(numbered(), train=60, test=60, seed=seed).train) for seed in (0, 0, 1))
    assert first == again != other


def test_more_than_there_are_is_refused_and_of_synthetic_ones_each_part_is_a_half():
    with pytest.raises(BadInput, match=r"^train=5000 and test=5000 are more than the 150 images of the test set"):
        halves(numbered(), train=5000, test=5000, seed=0)
    found = halves(numbered(few=True), train=5000, test=5000, seed=0)
    assert (len(found.train.labels), len(found.test.labels)) == (75, 75)
    assert found.train.few


def test_files_stay_files_which_are_checked_before_any_work(tmp_path):
    paths = [tmp_path / f"{i}.png" for i in range(4)]
    for i, path in enumerate(paths):
        Image.new("L", (4, 4), i).save(path)
    whole = Files(paths, [0, 1, 0, 1])
    found = halves(Raw(whole, whole, ("a", "b")), train=2, test=2, seed=0)
    assert isinstance(found.train, Files)
    assert sorted([*found.train.paths, *found.test.paths]) == sorted(map(str, paths))
    assert found.train.labels.tolist() == [int(re.search(r"(\d)\.png", path)[1]) % 2 for path in found.train.paths]


def test_a_task_takes_them_from_the_test_set_of_cifar10(tmp_path):
    options = OmegaConf.load("conf/data/cifar10_halves.yaml").target
    options.files.files.update(root=str(tmp_path), download=False, synthetic=4)
    options.update(input={"size": 32, "mean": 0.5, "std": 0.5}, seed=0, skip_corrupt=False)
    options.files.seed = 0
    splits = build(options, "data.target")
    whole = cifar10(str(tmp_path), False, 4).test
    assert (len(splits.train), len(splits.test), len(whole.labels)) == (20, 20, 40)
    names = {part.pictures.name(index) for part in (splits.train, splits.test) for index in part.indices.tolist()}
    assert names == {whole.name(index) for index in range(40)}
