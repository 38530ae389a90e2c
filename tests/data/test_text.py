import csv
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from datasets import Dataset
from omegaconf import OmegaConf

import data.sentences
import data.text
from conf.errors import BadInput
from data.arguments import SENTENCES
from data.sentences import load_tokenizer
from data.text import Texts, task
from data.text import csv as table

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
PIECES = [*SPECIAL, "good", "bad", "mov", "##ie", "well", "made", "it", "don", "do", "n", "t", "'", "-", ".", ",", "!"]


@pytest.fixture
def vocabulary(tmp_path):
    (tmp_path / "vocab.txt").write_text("\n".join(PIECES) + "\n")
    return tmp_path / "vocab.txt"


@pytest.fixture
def options(vocabulary):
    """options(key=value): model.input with the tiny vocabulary."""

    def make(**changed):
        return OmegaConf.create({"tokenizer": str(vocabulary), "max_length": 16, "truncate": False} | changed)

    return make


def test_a_row_with_too_many_fields_is_refused(tmp_path):
    (tmp_path / "train.csv").write_text("label,text\npos,good film, and more of it\nneg,bad\n")
    with pytest.raises(BadInput, match=r"train\.csv, line 2: more fields than columns; put texts in quotes"):
        table(str(tmp_path), "train.csv", "train.csv", "text", "label", ",")


def test_tabs_may_be_named_as_on_the_command_line(tmp_path):
    (tmp_path / "train.tsv").write_text("label\ttext\npos\tgood, really\nneg\tbad\n")
    read = table(str(tmp_path), "train.tsv", "train.tsv", "text", "label", r"\t")
    assert read.train[0] == ["good, really", "bad"]


def texts(*sentences):
    return Texts((sentences, np.arange(len(sentences)) % 2), (sentences, np.arange(len(sentences)) % 2), ("n", "p"))


def refused(call, *arguments, **options):
    with pytest.raises(BadInput) as error:
        call(*arguments, **options)
    return str(error.value)


def test_a_sample_is_ids_between_cls_and_sep_and_a_label(options):
    splits = task(texts("good movie", "bad"), options(), None, None, 0)
    (first, one), (second, other) = splits.train
    assert first.dtype == torch.int64
    assert [PIECES[i] for i in first] == ["[CLS]", "good", "mov", "##ie", "[SEP]"]
    assert [PIECES[i] for i in second] == ["[CLS]", "bad", "[SEP]"]
    assert (one, other, type(one)) == (0, 1, int)
    assert (splits.kind, splits.mask, splits.pad, splits.classes) == ("text", 4, 0, ("n", "p"))
    inputs, labels = splits.collate(list(splits.train))
    assert inputs.tolist() == [first.tolist(), [*second.tolist(), 0, 0]]
    assert labels.tolist() == [0, 1]


def test_a_sentence_that_is_too_long_is_refused_by_its_number_in_the_file(options):
    files = texts("good " * 3, "bad " * 3, "good " * 15, "bad")
    assert refused(task, files, options(), None, None, 0) == (
        "sentence 3 of the train set has 17 tokens, more than model.input.max_length=16: "
        "model.input.truncate=true cuts it there"
    )
    files = Texts((["good", "bad"], np.array([0, 1])), files.test, ("n", "p"))
    assert refused(task, files, options(), None, 3, 0).startswith("sentence 3 of the test set has 17 tokens")


def test_a_draw_is_balanced_and_decided_by_the_seed(options):
    sentences = tuple(f"good {'bad ' * (i % 7)}{'it ' * (i // 7)}" for i in range(40))
    files = Texts((sentences, np.array([0] * 30 + [1] * 10)), (sentences, np.arange(40) % 2), ("n", "p"))
    splits = task(files, options(), 12, 7, 0)
    assert np.bincount(splits.train.labels).tolist() == [6, 6]
    assert len(splits.test) == 7
    assert all(files.train[1][sentences.index(text)] == label
               for text, label in zip(splits.train.texts, splits.train.labels, strict=True))  # fmt: skip
    assert task(files, options(), 12, 7, 0).train.texts == splits.train.texts
    assert task(files, options(), 12, 7, 1).train.texts != splits.train.texts
    assert tuple(task(files, options(), None, None, 0).test.texts) == sentences
    assert refused(task, files, options(), 41, None, 0) == (
        "train_samples=41 is not allowed: a number from 1 to 40 (the whole train set) is expected"
    )


def test_sentences_are_tokenised_once_in_a_process(options, monkeypatch):
    seen, encoded = [], data.sentences._encoded
    monkeypatch.setattr(data.sentences, "_encoded", lambda *a: seen.append(a[0]) or encoded(*a))
    files = Texts((["good it", "bad it"], np.array([0, 1])), (["it good"], np.array([0])), ("n", "p"))
    first = task(files, options(), None, None, 0)
    again = task(files, options(), None, None, 0)
    assert seen == [("good it", "bad it"), ("it good",)]
    assert again.train.ids is first.train.ids


def test_a_model_of_images_is_refused():
    assert refused(SENTENCES.check, "data.target.input", {"size": 32}) == (
        "sentences need a text model, and model.input has no tokenizer: choose another model= or data="
    )


def test_no_tokenizer_is_refused_and_that_of_the_texts_comes_first(options, vocabulary):
    files = texts("good")
    assert refused(task, files, options(tokenizer=None), None, None, 0) == (
        "model.input.tokenizer=null: name a tokenizer, such as google-bert/bert-base-uncased"
    )
    files = Texts(files.train, files.test, files.classes, vocabulary)
    assert task(files, options(tokenizer="no/such"), None, None, 0).mask == 4


def sst2(root, **changed):
    options = {"download": False, "origin": "files", "repository": "stanfordnlp/sst2", "revision": None, "synthetic": 0}
    return data.text.sst2(str(root), **options | changed)


def test_sst2_files_are_read_as_they_are(tmp_path):
    (tmp_path / "SST-2").mkdir()
    (tmp_path / "SST-2" / "train.tsv").write_text('sentence\tlabel\na " good one \t1\nnull\t0\nno " film\t0\n')
    (tmp_path / "SST-2" / "dev.tsv").write_text("sentence\tlabel\nfine \t1\n")
    files = sst2(tmp_path)
    assert files.train[0] == ['a " good one', "null", 'no " film']
    assert files.train[1].tolist() == [1, 0, 0]
    assert (files.test[0], files.test[1].tolist()) == (["fine"], [1])
    assert (files.classes, files.tokenizer) == (("negative", "positive"), None)


@pytest.mark.parametrize(("train", "message"), [
    (None, "no file {}: unpack {url} in {root}, or set data.download=true"),
    ("text\tlabel\na\t1\n", "{} has no column sentence; it has: text, label"),
    ("", "{} is empty: a line of column names is expected, then a line for each text"),
    ("sentence\tlabel\n", "{} has no line after that of the column names"),
    ("sentence\tlabel\na\t1\n \t0\n", "{}, line 3: no sentence; fill it in or delete the line"),
    ("sentence\tlabel\na\t1\nb\n", "{}, line 3: no label; fill it in or delete the line"),
    ("sentence\tlabel\na\t-1\n", "{}, line 2: label -1 is not one of the classes 0, 1"),
])  # fmt: skip
def test_sst2_files_that_are_not_sst2_are_refused(tmp_path, train, message):
    file = tmp_path / "SST-2" / "train.tsv"
    file.parent.mkdir()
    (file.parent / "dev.tsv").write_text("sentence\tlabel\nfine\t1\n")
    if train is not None:
        file.write_text(train)
    assert refused(sst2, tmp_path) == message.format(file, root=tmp_path, url=data.text.SST2_URL)


def test_sst2_of_the_hub(tmp_path, monkeypatch):
    asked = []

    def rows(*arguments):
        asked.append(arguments)
        return Dataset.from_dict({"idx": [0, 1], "sentence": ["good ", "bad"], "label": [1, 0]})

    monkeypatch.setitem(sys.modules, "data.hub", SimpleNamespace(rows=rows))
    files = sst2(tmp_path, origin="hub", revision="r", download=True)
    assert asked == [("stanfordnlp/sst2", "r", split, str(tmp_path), True) for split in ("train", "validation")]
    assert (files.train[0], files.train[1].tolist()) == (["good ", "bad"], [1, 0])
    hidden = Dataset.from_dict({"sentence": ["good"], "label": [-1]})
    monkeypatch.setitem(sys.modules, "data.hub", SimpleNamespace(rows=lambda *_: hidden))
    assert refused(sst2, tmp_path, origin="hub") == (
        "stanfordnlp/sst2, row 1 of train: sentence 'good' with label -1; a sentence and label 0 or 1 are expected"
    )
    other = Dataset.from_dict({"text": ["good"], "label": [1]})
    monkeypatch.setitem(sys.modules, "data.hub", SimpleNamespace(rows=lambda *_: other))
    assert refused(sst2, tmp_path, origin="hub") == "stanfordnlp/sst2 has no column sentence; it has: text, label"


def test_made_up_sentences_are_read_by_the_same_reader_with_their_own_tokenizer(tmp_path, options):
    files = sst2(tmp_path, synthetic=4)
    assert np.bincount(files.train[1]).tolist() == np.bincount(files.test[1]).tolist() == [4, 4]
    splits = task(files, options(tokenizer=None, max_length=128), None, None, 0)
    assert splits.train.tokenizer is load_tokenizer(files.tokenizer)
    unknown = splits.train.tokenizer.unk_token_id
    assert not any((ids == unknown).any() for ids in splits.train.ids)


def test_a_download_needs_a_network_and_leaves_nothing_without(tmp_path, monkeypatch):
    monkeypatch.setattr(data.text, "reachable", lambda url: False)
    assert refused(sst2, tmp_path, download=True) == (
        "https://dl.fbaipublicfiles.com/glue/data/SST-2.zip can't be reached: without network, unpack a copy of it in "
        f"{tmp_path}"
    )
    assert list(tmp_path.iterdir()) == []


def test_a_download_is_checked_and_done_once(tmp_path, monkeypatch):
    def fetch(url, root, md5):
        (tmp_path / "SST-2").mkdir()
        for name in ("train", "dev"):
            (tmp_path / "SST-2" / f"{name}.tsv").write_text("sentence\tlabel\ngood\t1\nbad\t0\n")
        asked.append((url, root, md5))

    asked = []
    monkeypatch.setattr(data.text, "reachable", lambda url: True)
    monkeypatch.setattr(data.text, "download_and_extract_archive", fetch)
    for _ in range(2):
        assert sst2(tmp_path, download=True).train[0] == ["good", "bad"]
    assert asked == [(data.text.SST2_URL, str(tmp_path), "9f81648d4199384278b86e315dac217c")]


def write(path, rows, separator=","):
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        csv.writer(file, delimiter=separator).writerows(rows)


def read(root, **changed):
    options = {"path": "a.csv", "test_path": "b.csv", "text": "text", "label": "label", "separator": ","}
    return table(str(root), **options | changed)


@pytest.mark.parametrize("separator", [",", "\t", ";"])
def test_a_table_of_ones_own(tmp_path, separator):
    rows = [["id", "label", "text"], [1, "ok", 'a, "b"\nc'], [2, "bad", "d; e\tf"], [3, "ok", "ü"]]
    write(tmp_path / "a.csv", rows, separator)
    write(tmp_path / "b.csv", rows[:3], separator)
    files = read(tmp_path, separator=separator)
    assert files.classes == ("bad", "ok")
    assert (files.train[0], files.train[1].tolist()) == (['a, "b"\nc', "d; e\tf", "ü"], [1, 0, 1])
    assert files.test[1].tolist() == [1, 0]


def test_classes_that_are_numbers_are_sorted_as_numbers(tmp_path):
    write(tmp_path / "a.csv", [["text", "label"], *[[f"t{i}", i] for i in (10, -1, 9, 2)]])
    files = read(tmp_path, test_path="a.csv")
    assert files.classes == ("-1", "2", "9", "10")
    assert files.train[1].tolist() == [3, 0, 2, 1]


def test_a_label_that_training_lacks_is_refused(tmp_path):
    write(tmp_path / "a.csv", [["text", "label"], ["x", "good"], ["two\nlines", "bad"]])
    write(tmp_path / "b.csv", [["text", "label"], ["x", "good"], ["two\nlines", "fair"]])
    assert refused(read, tmp_path) == f"{tmp_path / 'b.csv'}, line 4: label fair is not one of the classes bad, good"


@pytest.mark.parametrize(("changed", "message"), [
    ({"path": "c.csv"}, "no file {}/c.csv: check data.root, path and test_path"),
    ({"text": "review"}, "{}/a.csv has no column review; it has: text, label"),
    ({"label": "stars"}, "{}/a.csv has no column stars; it has: text, label"),
    ({"separator": ";"}, "{}/a.csv has no column text; it has: text,label"),
    ({"path": "alike.csv"}, "{}/alike.csv has labels of one class only, good: a classifier needs two or more"),
    ({"path": "utf16.csv"}, "{}/utf16.csv is in UTF-16: save it in UTF-8"),
    ({"test_path": "utf16.csv"}, "{}/utf16.csv is in UTF-16: save it in UTF-8"),
    ({"path": "bytes.csv"}, "{}/bytes.csv is not a table in UTF-8 ('utf-8' codec can't decode byte 0xfc in position"),
])  # fmt: skip
def test_a_table_that_cannot_be_read_is_refused(tmp_path, changed, message):
    write(tmp_path / "a.csv", [["text", "label"], ["x", "good"], ["y", "bad"]])
    write(tmp_path / "b.csv", [["text", "label"], ["x", "good"]])
    write(tmp_path / "alike.csv", [["text", "label"], ["x", "good"], ["y", "good"]])
    (tmp_path / "utf16.csv").write_text("text,label\nx,good\ny,bad\n", "utf-16")
    (tmp_path / "bytes.csv").write_bytes(b"text,label\n\xfc,good\n")
    assert refused(read, tmp_path, **changed).startswith(message.format(tmp_path))
