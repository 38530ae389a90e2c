"""Reads labelled sentences from files: SST-2, and any table of texts and labels."""

import csv as tables
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
from omegaconf import DictConfig
from torchvision.datasets import utils
from torchvision.datasets.utils import download_and_extract_archive

from conf.allowed import Character, Place, Text
from conf.errors import BadInput
from conf.nested import Described
from conf.network import reachable
from data.arguments import SENTENCES, Download, Origin, Repository, Revision, Root, Seed, SomeOrAll, Synthetic
from data.sentences import Sentences, load_tokenizer
from data.splits import Splits, balanced_order
from data.synthetic import reviews
from stages.progress import Bar

utils.tqdm = Bar  # for torchvision's downloads
SST2_URL = "https://dl.fbaipublicfiles.com/glue/data/SST-2.zip"
SST2_MD5 = "9f81648d4199384278b86e315dac217c"

TABLE, COLUMN = Place("the path of a table"), Text("the name of a column")

Labelled = tuple[Sequence[str], np.ndarray]


@dataclass(frozen=True)
class Texts:
    """The content of the files. train, test: (texts, labels: int array of the same length); labels are indices of
    `classes`.

    tokenizer: a folder or file that belongs to these texts, in place of the model's own.
    """

    train: Labelled
    test: Labelled
    classes: Sequence[str]
    tokenizer: Path | None = None


def task(
    files: Annotated[Texts, Described("conf/data/csv.yaml")],
    input: Annotated[DictConfig, SENTENCES],
    train_samples: SomeOrAll,
    test_samples: SomeOrAll,
    seed: Seed,
) -> Splits:
    """Returns the sentences of `files` as a model with this `model.input` reads them (tokenizer, max_length, truncate).

    train_samples, test_samples: the size of a class-balanced draw; null: all, in the order of the file.
    """
    tokenizer = load_tokenizer(_source(files, input))
    limit = input.max_length if input.truncate else None
    splits = {}
    for split, samples in (("train", train_samples), ("test", test_samples)):
        texts, labels = getattr(files, split)
        chosen = _draw(labels, samples, split, seed)
        splits[split] = Sentences([texts[i] for i in chosen], labels[chosen], tokenizer, limit)
        _check_lengths(splits[split], chosen, split, input.max_length)
    return Splits(
        **splits, classes=files.classes, kind="text", mask=tokenizer.mask_token_id, pad=tokenizer.pad_token_id
    )


def _source(files: Texts, input: DictConfig) -> str | Path:
    source = files.tokenizer or input.tokenizer
    if source is None:
        raise BadInput("model.input.tokenizer=null: name a tokenizer, such as google-bert/bert-base-uncased")
    return source


def _draw(labels: np.ndarray, samples: int | None, split: str, seed: int) -> np.ndarray:
    if samples is None:
        return np.arange(len(labels))
    if samples > len(labels):
        raise BadInput(
            f"{split}_samples={samples} is not allowed: a number from 1 to {len(labels)} (the whole {split} "
            f"set) is expected"
        )
    return balanced_order(labels, seed)[:samples]


def _check_lengths(sentences: Sentences, numbers: np.ndarray, split: str, max_length: int) -> None:
    for number, ids in zip(numbers, sentences.ids, strict=True):
        if len(ids) > max_length:
            raise BadInput(
                f"sentence {number + 1} of the {split} set has {len(ids)} tokens, more than "
                f"model.input.max_length={max_length}: model.input.truncate=true cuts it there"
            )


def sst2(
    root: Root, download: Download, origin: Origin, repository: Repository, revision: Revision, synthetic: Synthetic
) -> Texts:
    """Reads SST-2, negative or positive. The development set serves as the test set, whose labels are not public.

    origin: files (GLUE's SST-2/train.tsv and dev.tsv under `root`) | hub (`repository` at `revision`). synthetic: if
    above 0, this many synthetic sentences per class, in files of the same format, replace the real ones.
    """
    classes = ("negative", "positive")
    if origin == "hub" and not synthetic:
        parts = (_hub_rows(repository, revision, split, root, download) for split in ("train", "validation"))
        return Texts(*parts, classes)
    folder = Path(reviews.sst2(root, synthetic) if synthetic else root, "SST-2")
    if download and not (folder / "train.tsv").exists():
        _download(root)
    hint = f"unpack {SST2_URL} in {root}, or set data.download=true"
    parts = (
        _indexed(*_table(folder / name, "sentence", "label", "\t", tables.QUOTE_NONE, hint), ("0", "1"), folder / name)
        for name in ("train.tsv", "dev.tsv")
    )
    return Texts(*parts, classes, folder / "vocab.txt" if synthetic else None)


def csv(
    root: Root,
    path: Annotated[str, TABLE],
    test_path: Annotated[str, TABLE],
    text: Annotated[str, COLUMN],
    label: Annotated[str, COLUMN],
    separator: Annotated[str, Character(words=(r"\t",))],
) -> Texts:
    """Reads two tables with a line of column names, in UTF-8; `text` and `label` name columns.

    Paths are relative to `root`. Labels are words or numbers; the classes are those of the training table, sorted.
    """
    if separator == r"\t":  # as it comes from the command line
        separator = "\t"
    files = [Path(root, path), Path(root, test_path)]
    hint = "check data.root, path and test_path"
    read = [_table(file, text, label, separator, tables.QUOTE_MINIMAL, hint) for file in files]
    names = {name for _, name in read[0][1]}
    if len(names) == 1:
        raise BadInput(f"{files[0]} has labels of one class only, {names.pop()}: a classifier needs two or more")
    integers = all(name.removeprefix("-").isdecimal() for name in names)
    classes = tuple(sorted(names, key=int if integers else None))
    return Texts(*(_indexed(*rows, classes, file) for rows, file in zip(read, files, strict=True)), classes)


def _table(
    file: Path, text: str, label: str, separator: str, quoting: int, hint: str
) -> tuple[list[str], list[tuple[int, str]]]:
    """Returns the texts, and the line and label of each text. Raises BadInput for a file that is not such a table."""
    if not file.is_file():
        raise BadInput(f"no file {file}: {hint}")
    texts, labels = [], []
    with file.open("rb") as stream:
        begin = stream.read(1000)
    zeros = max(begin[::2].count(0), begin[1::2].count(0))
    if begin[:2] in (b"\xff\xfe", b"\xfe\xff") or zeros > len(begin) // 5:
        raise BadInput(f"{file} is in UTF-16: save it in UTF-8")  # every other byte of its letters is 0
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            rows = tables.DictReader(stream, delimiter=separator, quoting=quoting)
            if not rows.fieldnames:
                raise BadInput(f"{file} is empty: a line of column names is expected, then a line for each text")
            missing = [name for name in (text, label) if name not in (rows.fieldnames or ())]
            if missing:
                raise BadInput(f"{file} has no column {missing[0]}; it has: {', '.join(rows.fieldnames or ['none'])}")
            for row in rows:
                if None in row:
                    raise BadInput(f"{file}, line {rows.line_num}: more fields than columns; put texts in quotes")
                values = [(row[name] or "").strip() for name in (text, label)]
                if not all(values):
                    empty = text if not values[0] else label
                    raise BadInput(f"{file}, line {rows.line_num}: no {empty}; fill it in or delete the line")
                texts.append(values[0])
                labels.append((rows.line_num, values[1]))
    except (UnicodeDecodeError, tables.Error) as error:
        raise BadInput(f"{file} is not a table in UTF-8 ({error})") from error
    if not texts:
        raise BadInput(f"{file} has no line after that of the column names")
    return texts, labels


def _indexed(texts: list[str], labels: list[tuple[int, str]], classes: Sequence[str], file: Path) -> Labelled:
    """Replaces labels by the index of their class. Raises BadInput for a label that is not a class."""
    index = {name: number for number, name in enumerate(classes)}
    for line, name in labels:
        if name not in index:
            shown = ", ".join(classes[:10]) + (", ..." if len(classes) > 10 else "")
            raise BadInput(f"{file}, line {line}: label {name} is not one of the classes {shown}")
    return texts, np.array([index[name] for _, name in labels])


def _hub_rows(repository: str, revision: str | None, split: str, root: str, download: bool) -> Labelled:
    from data.hub import rows  # `datasets` takes seconds to import

    table = rows(repository, revision, split, root, download)
    missing = [name for name in ("sentence", "label") if name not in table.column_names]
    if missing:
        raise BadInput(f"{repository} has no column {missing[0]}; it has: {', '.join(table.column_names)}")
    texts, labels = list(table["sentence"]), list(table["label"])
    for number, (sentence, label) in enumerate(zip(texts, labels, strict=True), 1):
        if not sentence or not sentence.strip() or label not in (0, 1):
            raise BadInput(
                f"{repository}, row {number} of {split}: sentence {sentence!r} with label {label!r}; "
                f"a sentence and label 0 or 1 are expected"
            )
    return texts, np.array(labels)


def _download(root: str) -> None:
    if not reachable(SST2_URL):
        raise BadInput(f"{SST2_URL} can't be reached: without network, unpack a copy of it in {root}")
    try:
        download_and_extract_archive(SST2_URL, root, md5=SST2_MD5)
    except (OSError, RuntimeError) as error:
        raise BadInput(f"{SST2_URL} can't be downloaded to {root} ({error})") from error
