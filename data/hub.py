"""Reads data sets of the Hugging Face hub in Parquet files: from a folder, the library's cache, or the network."""

import io
import re
from collections.abc import Sequence
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from typing import Annotated

import datasets
import numpy as np
from huggingface_hub import constants, snapshot_download
from PIL import Image

from conf.allowed import Text
from conf.errors import BadInput
from conf.first_line import first_line
from conf.network import reachable
from data.arguments import Download, Repository, Revision, Root
from data.pictures import Pictures, Raw, upright

SPLIT, COLUMN = Text("the name of a split"), Text("the name of a column")


def rows(
    repository: str, revision: str | None, split: str, root: str | Path, download: bool = False
) -> datasets.Dataset:
    """Returns one split of `repository` at `revision` (a branch, tag or commit; None: main).

    It is looked for in root/<repository>, where `hf download --local-dir` puts it; then in the library's cache; then,
    with `download`, on the hub, from which it is put in root/<repository>. Without `download` the network is not used.
    """
    folder = Path(root, repository)
    files = _parquet(folder, split) or _parquet(_cached(repository, revision), split)
    if download and (not files or _lacking(files)):
        _fetch(repository, revision, split, folder)
        files = _parquet(folder, split)
    command = f"hf download --repo-type dataset {repository} --revision {revision or 'main'} --local-dir {folder}"
    if not files:
        raise BadInput(
            f"{repository} was not found: Parquet files of its split {split} are expected in {folder} or in the "
            f"library's cache {constants.HF_HUB_CACHE}; get it with data.download=true, or with: {command}"
        )
    if _lacking(files):
        raise BadInput(
            f"{repository} is incomplete: {_lacking(files)} of split {split} is missing; get it with: {command}"
        )
    try:
        return datasets.Dataset.from_parquet([str(file) for file in files], split=split)
    except Exception as error:  # pyarrow, fsspec and the library itself raise many kinds
        reason = first_line(error.__cause__ or error)
        raise BadInput(
            f"{files[0].parent}: split {split} can't be read ({reason}); get it again with: {command}"
        ) from None


class Rows(Pictures):
    """Pictures that are stored in a column of a table, as encoded files."""

    def __init__(self, table: datasets.Dataset, column: str, labels: Sequence[int], title: str) -> None:
        self.table = table.select_columns(column).cast_column(column, datasets.Image(decode=False))
        self.column, self.labels, self.title = column, np.asarray(labels, dtype=np.int64), title

    def open(self, index: int) -> Image.Image:
        cell = self.table[index][self.column]
        return upright(io.BytesIO(cell["bytes"]) if cell["bytes"] else cell["path"])

    def name(self, index: int) -> str:
        return f"{self.title} image {index}"


@cache
def images(
    repository: Repository,
    revision: Revision,
    root: Root,
    download: Download = False,
    train: Annotated[str, SPLIT] = "train",
    test: Annotated[str, SPLIT] = "test",
    image: Annotated[str, COLUMN] = "image",
    label: Annotated[str, COLUMN] = "label",
) -> Raw:
    """Reads images. train, test: names of the splits; image, label: names of the columns.

    Labels without names are named by their number.
    """
    tables = {split: rows(repository, revision, split, root, download) for split in (train, test)}
    for split, table in tables.items():
        for column in (image, label):
            if column not in table.column_names:
                there = ", ".join(table.column_names)
                raise BadInput(f"{repository}: split {split} has no column {column}; columns found: {there}")
    labels = {split: _labels(table, label, f"{repository}, {split}") for split, table in tables.items()}
    names = getattr(tables[train].features[label], "names", None)
    classes = names or [str(number) for number in range(max(part.max() for part in labels.values()) + 1)]
    parts = (Rows(table, image, labels[split], f"{repository}, {split}") for split, table in tables.items())
    return Raw(*parts, tuple(classes))


def _labels(table: datasets.Dataset, column: str, title: str) -> np.ndarray:
    numbers = str(getattr(table.features[column], "dtype", "")).startswith(("int", "uint"))
    labels = np.array(table[column][:] if numbers else [])
    if len(labels) == 0 or not np.issubdtype(labels.dtype, np.integer) or labels.min() < 0:
        raise BadInput(f"{title}: column {column} does not hold a class number, 0 or above, in every row")
    return labels


def _parquet(folder: Path | None, split: str) -> list[Path]:
    """Returns the files of the split, in order: train.parquet, train-00000-of-00002.parquet, train/0000.parquet, in any
    folder."""
    if folder is None:
        return []
    wanted = [f"*/{form}" for form in _forms(split)]
    return sorted(f for f in folder.rglob("*.parquet") if any(fnmatch(f"/{f.relative_to(folder)}", w) for w in wanted))


def _forms(split: str) -> tuple[str, ...]:
    return f"{split}.parquet", f"{split}-*.parquet", f"{split}/*.parquet"


def _lacking(files: list[Path]) -> str | None:
    """Returns which number is missing among files named ...-00000-of-00002...; None if none is."""
    shards = [match for file in files if (match := re.search(r"-(\d{5})-of-(\d{5})", file.name))]
    there = {int(match[1]) for match in shards}
    total = int(shards[0][2]) if shards else 0
    return next((f"file {number} of {total}" for number in range(total) if number not in there), None)


def _cached(repository: str, revision: str | None) -> Path | None:
    try:
        return Path(snapshot_download(repository, repo_type="dataset", revision=revision, local_files_only=True))
    except (OSError, ValueError):  # it is not in the cache; the name is not that of a repository
        return None


def _fetch(repository: str, revision: str | None, split: str, folder: Path) -> None:
    """Downloads the split. The library names a file only when it is complete, and a second attempt gets what is
    missing."""
    if not reachable(constants.ENDPOINT):
        raise BadInput(
            f"{constants.ENDPOINT} can't be reached (no network): try again later, or put {repository} in "
            f"{folder} by hand"
        )
    patterns = [pattern for form in _forms(split) for pattern in (form, f"*/{form}")]
    try:
        snapshot_download(repository, repo_type="dataset", revision=revision, local_dir=folder, allow_patterns=patterns)
    except Exception as error:  # caused by network, server, rights or disk
        reason = first_line(error)
        raise BadInput(f"{repository} can't be downloaded ({reason}): try again, or put it in {folder}") from None
