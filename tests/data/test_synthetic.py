import csv
import hashlib
from itertools import pairwise

import numpy as np
import pytest
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS
from transformers import BertTokenizerFast

from conf.errors import BadInput
from data.synthetic import arrays, photographs, reviews

WRITERS = (arrays.cifar10, arrays.cifar100, arrays.svhn, arrays.mnist, photographs.cub200, photographs.cars)
WRITERS += (photographs.food101, photographs.aircraft, photographs.flowers102, photographs.indoor67)
WRITERS += (photographs.shenzhen, reviews.sst2)


def contents(folder):
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    held = {str(file.relative_to(folder)): file.read_bytes() for file in files}
    dated = {name: bytes[116 * name.endswith(".mat") :] for name, bytes in held.items()}  # a .mat begins with a date
    return {name: hashlib.sha256(bytes).hexdigest() for name, bytes in dated.items()}


@pytest.mark.parametrize("write", WRITERS)
def test_the_same_is_made_everywhere_and_once(tmp_path, write):
    folder = write(tmp_path / "one", 3)
    assert contents(folder)
    assert contents(folder) == contents(write(tmp_path / "two", 3))
    times = [path.stat().st_mtime_ns for path in sorted(folder.rglob("*"))]
    assert write(tmp_path / "one", 3) == folder
    assert times == [path.stat().st_mtime_ns for path in sorted(folder.rglob("*"))]
    assert write(tmp_path / "one", 2) != folder


@pytest.mark.parametrize("write", WRITERS)
def test_what_is_not_finished_is_not_there(tmp_path, write, monkeypatch):
    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(np.random, "default_rng", killed)
        with pytest.raises(KeyboardInterrupt):
            write(tmp_path, 3)
    assert list((tmp_path / "synthetic").iterdir()) == []
    assert contents(write(tmp_path, 3))


@pytest.mark.parametrize("write", WRITERS)
def test_a_root_that_cannot_be_written_is_refused(tmp_path, write):
    (tmp_path / "synthetic").touch()
    with pytest.raises(BadInput, match=rf"^data.root: can't write to {tmp_path}/synthetic \(File exists\)$"):
        write(tmp_path, 3)


def read(folder):
    splits = {}
    for split in ("train", "dev"):
        with (folder / "SST-2" / f"{split}.tsv").open(newline="") as file:
            splits[split] = list(csv.DictReader(file, delimiter="\t"))
    return splits


def test_reviews_are_balanced_different_and_have_five_content_words(tmp_path):
    splits = read(reviews.sst2(tmp_path, 20))
    sentences = [row["sentence"] for rows in splits.values() for row in rows]
    assert len(sentences) == len(set(sentences)) == 80
    for rows in splits.values():
        labels = [row["label"] for row in rows]
        assert (labels.count("0"), labels.count("1"), len(labels)) == (20, 20, 40)
        assert sum(a != b for a, b in pairwise(labels)) > 5  # the classes are mixed
    for sentence in sentences:
        assert len({word for word in sentence.split() if word.isalpha()} - ENGLISH_STOP_WORDS) >= 5


def test_the_vocabulary_is_one_of_bert_and_knows_every_word(tmp_path):
    folder = reviews.sst2(tmp_path, 5)
    vocabulary = (folder / "SST-2" / "vocab.txt").read_text().splitlines()
    assert vocabulary[:5] == ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    assert len(vocabulary) == len(set(vocabulary))
    tokenizer = BertTokenizerFast(vocab=str(folder / "SST-2" / "vocab.txt"))
    for row in read(folder)["dev"]:
        assert tokenizer.tokenize(row["sentence"]) == row["sentence"].split()
    assert tokenizer.tokenize("zebra") == ["z", "##e", "##b", "##r", "##a"]


def test_more_reviews_than_there_are_is_refused(tmp_path):
    with pytest.raises(BadInput, match=r"^data.synthetic=60000 is not allowed: at most 57344 sentences per class"):
        reviews.sst2(tmp_path, 60000)
    assert list(tmp_path.iterdir()) == []
