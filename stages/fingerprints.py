"""Describes the content of a user's own files in one line of text: other content gives another line, other results.

    /data/probe.pt    1,234 bytes, sha256 9f86d081884c7d65
    /data/flowers     312 files, 1,234,567 bytes, sha256 2c26b46b68ffc68f
    /data/imagenet    1,281,167 files, 147,897,477,120 bytes, names and sizes fcde2b2edba56bf4

The line holds neither the path nor dates: a file that is moved or touched stays the same; an edited one does not. (The
digits of a file are the first that the program sha256sum prints.) For a folder, the names in it, relative to it, and
the content of each file count; for a large one only names and sizes, since reading it all would take too long.

To save reading, `Memory` keeps what was found, with the sizes and dates of that time: as long as these are the same,
nothing is read again. So an edit that keeps the size of a file is missed if its date is set back, too.
"""

import errno
import hashlib
import os
import re
import secrets
import stat
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from conf.errors import BadInput
from stages.progress import Bar
from stages.records import read_record, write_record

MANY_FILES, MANY_BYTES = 10_000, 10**9  # a folder that has more of either is large
SHOWN = 200 * 10**6  # bytes; for more, a bar shows the progress
CHUNK = 2**20
SETTLED = 2 * 10**9  # ns: dates are coarse on some disks, so a file just written may change again under the same date
LEFT_OUT = {"thumbs.db", "ehthumbs.db", "desktop.ini", "__pycache__"}  # besides hidden files
NOWHERE = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP}
VERSION = 1  # version of the rules above: what was remembered under others is not used
FORM = re.compile(r"[\d,]+ (files?, [\d,]+ )?bytes?, sha256 [0-9a-f]{16}")

_for_good: dict[str, str] = {}


def of_path(path: Path, memory: "Memory") -> str:
    """Describes what a file or folder holds. In one process a path always has the same answer, so that a run does
    not become another one while it runs. Raises BadInput for a path that is missing or can't be read."""
    key = os.path.abspath(path)
    if key not in _for_good:
        try:
            found = _of_folder(key, memory) if os.path.isdir(key) else _of_file(key, memory)
        except OSError as error:
            place, reason = error.filename or path, os.strerror(error.errno) if error.errno else error
            raise BadInput(
                f"{place} can't be read ({reason}): give the path of a file or folder that can be read"
            ) from None
        _for_good.setdefault(key, found)
    return _for_good[key]


def forget() -> None:
    """Forgets what was found, so that files are read again, as in a new process."""
    _for_good.clear()


class Memory:
    """Remembers what files and folders hold, by absolute path, in a JSON file that several processes may share: each
    adds what it learned, and the last one wins. A missing or damaged file, or one of another version, counts as
    empty."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._known = _remembered(file)
        self._learned: dict[str, dict[str, str]] = {}

    def recall(self, path: str, seen: str, changed: int, read: Callable[[], str]) -> str:
        """Returns what `read` returned when `seen` was the same; otherwise calls it. changed: date of the content,
        in ns."""
        entry = self._known.get(path)
        if entry and entry["seen"] == seen:
            return entry["fingerprint"]
        settled = time.time_ns() - changed >= SETTLED
        found = read()
        if settled:
            self._known[path] = self._learned[path] = {"seen": seen, "fingerprint": found}
        return found

    def save(self) -> None:
        """Adds what is new to the file, without deleted paths. A disk that can't be written to only costs time in
        the next run, so it is not an error."""
        if not self._learned:
            return
        known = _remembered(self._file) | self._learned
        there = {path: entry for path, entry in sorted(known.items()) if os.path.exists(path)}
        # A name of its own, as two processes that write to one temporary file would mix their content.
        beside = self._file.with_name(f"{self._file.name}.{secrets.token_hex(4)}")
        with suppress(OSError):
            try:
                write_record(beside, {"version": VERSION, "paths": there})
                os.replace(beside, self._file)
                self._learned.clear()
            finally:
                beside.unlink(missing_ok=True)


def _remembered(file: Path) -> dict[str, dict[str, str]]:
    """Returns path -> seen, fingerprint; the dict is empty if anything in the file is wrong."""
    try:
        content = read_record(file)
        entries = content["paths"].values()
        ours = content["version"] == VERSION and all(FORM.fullmatch(e["fingerprint"]) and e["seen"] for e in entries)
    except (LookupError, TypeError, AttributeError):
        return {}
    return content["paths"] if ours else {}


def _of_file(path: str, memory: Memory) -> str:
    status = os.stat(path)
    if not stat.S_ISREG(status.st_mode):
        raise BadInput(f"{path} is neither a file nor a folder: give the path of one")
    size, changed = status.st_size, status.st_mtime_ns

    def read() -> str:
        with _bar(path, size) as bar:
            return f"{_count(size, 'byte')}, sha256 {_sha256(path, bar)[:16]}"

    return memory.recall(path, f"{size} bytes, {changed} ns", changed, read)


def _of_folder(folder: str, memory: Memory) -> str:
    files = _files_in(folder)
    total = sum(size for _, size, _ in files)
    counts = f"{_count(len(files), 'file')}, {_count(total, 'byte')}"
    if len(files) > MANY_FILES or total > MANY_BYTES:
        return f"{counts}, names and sizes {_digest((name, size) for name, size, _ in files)}"

    def read() -> str:
        with _bar(folder, total) as bar:
            return f"{counts}, sha256 {_digest((name, _sha256(f'{folder}/{name}', bar)) for name, *_ in files)}"

    return memory.recall(folder, _digest(files), max((changed for *_, changed in files), default=0), read)


def _files_in(folder: str) -> list[tuple[str, int, int]]:
    """Returns (name relative to the folder, bytes, date in ns) of each file, sorted by name. Links are followed,
    except to a folder above them, which would never end; links that lead nowhere are left out."""
    found, todo = [], [("", os.path.realpath(folder), frozenset())]
    while todo:
        prefix, here, above = todo.pop()
        if here in above:
            continue
        with os.scandir(here) as entries:
            for entry in entries:
                if entry.name[0] == "." or entry.name.lower() in LEFT_OUT or not (status := _status(entry)):
                    continue
                name = prefix + entry.name
                if stat.S_ISREG(status.st_mode):
                    found.append((name, status.st_size, status.st_mtime_ns))
                elif stat.S_ISDIR(status.st_mode):
                    place = os.path.realpath(entry.path) if entry.is_symlink() else entry.path
                    todo.append((f"{name}/", place, above | {here}))
    return sorted(found)


def _status(entry: os.DirEntry) -> os.stat_result | None:
    try:
        return entry.stat()
    except OSError as error:
        if error.errno in NOWHERE:
            return None
        raise


def _sha256(path: str, bar: Bar) -> str:
    """Returns the hash of a file's content, 64 hex digits."""
    digest = hashlib.sha256()
    with open(path, "rb", buffering=0) as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
            bar.update(len(chunk))
    return digest.hexdigest()


def _digest(rows: Iterable[tuple]) -> str:
    """Returns 16 hex digits that stand for names and numbers, each ended by a zero byte, which no name contains."""
    digest = hashlib.sha256()
    for row in rows:
        digest.update(os.fsencode("".join(f"{part}\0" for part in row)))
    return digest.hexdigest()[:16]


def _bar(path: str, total: int) -> Bar:
    what = f"reading {os.path.basename(path)}"
    return Bar(None, what, total, False, unit="B", unit_scale=True, disable=total <= SHOWN)


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"
