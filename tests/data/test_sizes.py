"""Sizes that are known without files, so that a study can be planned where its data are not."""

import re
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from conf import schema
from data.official import shenzhen
from data.splits import build

CONF = Path(__file__).resolve().parents[2] / "conf"
OWN = {"digits", "phrases", "folder", "csv"}  # come with the program, or are the user's
PUBLISHED = sorted({file.stem for file in (CONF / "data").glob("*.yaml")} - OWN)
# Training samples, test samples and classes, from what each data set's publishers say of the whole and of a class.
KNOWN = {
    "aircraft": (10_000 - 3_333, 3_333, 100),
    "cars": (8_144, 16_185 - 8_144, 196),
    "cifar10": (10 * 5_000, 10 * 1_000, 10),
    "cifar100": (100 * 500, 100 * 100, 100),
    "cub200": (5_994, 11_788 - 5_994, 200),
    "flowers102": (102 * (10 + 10), 8_189 - 102 * 20, 102),
    "cifar10_halves": (5_000, 5_000, 10),
    "food101": (101 * 750, 101 * 250, 101),
    "indoor67": (67 * 80, 67 * 20, 67),
    "mnist": (60_000, 10_000, 10),
    "shenzhen": (round(0.3 * 326) + round(0.3 * 336), 662 - 199, 2),
    "sst2": (67_349, 872, 2),
    "svhn": (99_289 - 26_032, 26_032, 10),
}

schema.register()


def composed(*overrides):
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose("config", list(overrides))


def lines(group, name):
    """The comment that a file opens with, as one line."""
    text = (CONF / group / f"{name}.yaml").read_text()
    return " ".join(line.lstrip("# ") for line in re.match(r"(#.*\n)+", text)[0].splitlines())


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_size_of_a_published_data_set_is_known(name):
    size = OmegaConf.to_container(composed(f"data={name}").data.size)
    assert list(size) == ["train", "test", "classes", *(["tokens"] if name == "sst2" else [])]
    assert all(type(value) is int and value > 0 for value in size.values())
    assert (size["train"], size["test"], size["classes"]) == KNOWN[name]
    assert f"{size['train']:,} / {size['test']:,}" in lines("data", name)


@pytest.mark.parametrize(("name", "known"), [("cifar10", KNOWN["cifar10"]), ("imagenet", (1_281_167, 50_000, 1_000))])
def test_so_is_that_of_a_published_source_task(name, known):
    source = OmegaConf.load(CONF / "source" / f"{name}.yaml")
    assert tuple(source["size"].values()) == known
    assert f"{known[0]:,} / {known[1]:,}" in lines("source", name)


@pytest.mark.parametrize("name", sorted(OWN))
def test_other_sizes_are_those_of_the_files(name):
    assert (
        composed(f"data={name}", "model=bert_tiny" if name in ("phrases", "csv") else "model=conv4").data.size is None
    )


@pytest.mark.parametrize("name", sorted(file.stem for file in (CONF / "experiment").glob("*_*.yaml")
                                        if file.stem.partition("_")[0] in KNOWN))  # fmt: skip
def test_the_cost_of_an_experiment_is_of_so_many_samples(name):
    size = composed(f"experiment={name}").data.size
    assert re.search(rf"epochs of {size.train:,} (images|sentences)", lines("experiment", name))


def test_the_share_of_x_rays_is_what_the_reader_takes(tmp_path):
    folder = tmp_path / "ChinaSet_AllFiles" / "CXR_png"
    folder.mkdir(parents=True)
    for number in range(662):
        (folder / f"CHNCXR_{number:04}_{int(number >= 326)}.png").touch()
    target = composed("data=shenzhen").data.target.files
    raw = shenzhen(str(tmp_path), train_share=target.train_share, seed=target.seed)
    assert (len(raw.train.labels), len(raw.test.labels), len(raw.classes)) == KNOWN["shenzhen"]


@pytest.mark.parametrize("name", PUBLISHED)
def test_made_up_files_are_read_beside_the_sizes_of_the_real_ones(tmp_path, name):
    model = "bert" if name == "sst2" else "conv4"
    cfg = composed(f"data={name}", f"model={model}", "data.synthetic=2", f"data.root={tmp_path}")
    splits = build(cfg.data.target, "data.target")
    classes = 10 if name in ("cifar10", "cifar10_halves", "mnist", "svhn") else 2 if name in ("sst2", "shenzhen") else 4
    test = 5 if name == "shenzhen" else 2  # its training set is 30 % of all
    whole = (2 * classes, test * classes, classes)
    found = (len(splits.train), len(splits.test), len(splits.classes))
    assert found == ((classes, classes, classes) if name == "cifar10_halves" else whole)  # halves of its test set
    assert cfg.data.size.train == KNOWN[name][0]
