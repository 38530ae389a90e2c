"""Sizes and checksums of a result's files, as done.json lists them, and which files now differ from it."""

import hashlib
import zipfile
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from stages.files import is_temporary

TRACKED = "tracked.json"
RECORDS = ("config.yaml", "inputs.json", TRACKED, "done.json")  # they say what a result is; the others are the result
WORDS = ("meta.json", "engine.json")  # how something was made: other words, same content
SHARDS = "shards"  # a folder in a result's, whose files other jobs are writing (stages/shares.py)
ARCHIVES = (".pt", ".ckpt", ".npz")

Listed = dict[str, tuple[int, str]]  # name relative to the folder -> bytes, sha256


def listed(folder: Path) -> Listed:
    paths = sorted(path for path in own_files(folder) if not is_temporary(path))
    # Features are kept beside the weights that made them, as long as they are needed.
    paths = [path for path in paths if path.relative_to(folder).parts[0] not in (*RECORDS, "features")]
    return {str(path.relative_to(folder)): held for path, held in zip(paths, _held(paths), strict=True)}


def lost(folder: Path, files: Listed) -> list[str]:
    """Returns the files that are missing or have changed in size, without reading any of them."""
    return [name for name, (size, _) in files.items() if _size(folder / name) != size]


def damaged(folder: Path, files: Listed | None) -> list[Path]:
    """Returns the files with wrong content. For a result that was never finished (None), these are the broken
    archives, which have checksums of their own."""
    if files is None:
        return [file for file in own_files(folder) if file.suffix in ARCHIVES and not _is_whole(file)]
    there = {name: file for name in files if (file := folder / name).is_file()}
    return [file for (name, file), held in zip(there.items(), _held(there.values()), strict=True)
            if held != tuple(files[name])]  # fmt: skip


def own_files(folder: Path) -> Iterator[Path]:
    """Yields the files in a result's folder that only the process that holds its lock may write."""
    for entry in folder.iterdir() if folder.exists() else ():
        if entry.name != SHARDS:
            yield from (path for path in (entry, *entry.rglob("*")) if path.is_file())


def _held(paths: Iterable[Path]) -> list[tuple[int, str]]:
    with ThreadPoolExecutor() as threads:  # hashing lets other threads run
        return list(threads.map(lambda path: (path.stat().st_size, sha256(path)), paths))


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None


def _is_whole(archive: Path) -> bool:
    try:
        with zipfile.ZipFile(archive) as files:
            return files.testzip() is None
    except Exception:  # the reader raises many kinds of errors for garbage
        return False
