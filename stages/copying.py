"""Copies complete results. An interrupted copy does not count as complete: every file is compared with its checksum
on the way, and done.json is written last."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from conf.errors import BadInput
from stages.checksums import RECORDS, lost
from stages.files import remove, write_text, written
from stages.locks import locked
from stages.progress import Bar
from stages.reading import Damaged
from stages.records import write_record
from stages.results import hashes, read_done

CHUNK = 2**20  # bytes


@dataclass(frozen=True)
class Copy:
    """A copy of the result in `source` to `target`. done: content of its done.json; shared: whether other results
    are made from it, so that its content has to be the same everywhere; otherwise it belongs to a run, and replaces
    an older one."""

    source: Path
    target: Path
    done: dict
    shared: bool

    def missing(self) -> dict[str, tuple[int, str]]:
        """Returns the files that have to be copied: name -> bytes and sha256. Raises BadInput if the target was
        trained again."""
        files, there = self.done["files"], self._there()
        if there is None or not (self.shared or there["files"] == files):
            return files
        self._check_same()
        return {name: file for name, file in files.items() if name not in there["files"]}

    def make(self, bar: Bar) -> None:
        """Copies the missing files. bar: counts bytes. Raises BadInput if a file has changed since it was made."""
        with locked(self.target):
            missing = self.missing()
            if missing.keys() == self.done["files"].keys() and self.target.exists():  # the target holds nothing useful
                remove(self.target / "done.json")
                remove(self.target)
            # Other epochs of the same training may exist: they stay, so that everything complete stays complete.
            there = self._there() or self.done
            for name, (_, sha256) in missing.items():
                copy_file(self.source / name, self.target / name, bar, sha256)
            for name in RECORDS:  # before done.json, which is written last
                if (self.source / name).exists() and not (self.target / name).exists() and name != "done.json":
                    write_text(self.target / name, (self.source / name).read_text())
            files = self.done["files"] | there["files"]
            write_record(self.target / "done.json", there | {"files": files})

    def _there(self) -> dict | None:
        """Returns the content of the target's done.json if it is complete and the same result, otherwise None."""
        done = read_done(self.target)
        return done if done and done["digest"] == self.done["digest"] and not lost(self.target, done["files"]) else None

    def _check_same(self) -> None:
        mine, theirs = hashes(self.source), hashes(self.target)
        if other := [name for name in mine if theirs.get(name, mine[name]) != mine[name]]:
            raise BadInput(
                f"{self.target} was made with the same settings as {self.source}, and came to another result "
                f"({other[0]} differs): what is made from one does not fit the other; give another target folder"
            )


def copy_file(source: Path, target: Path, bar: Bar, sha256: str | None = None) -> None:
    """Copies a file. Raises BadInput and leaves no copy if its content has another checksum."""
    digest = hashlib.sha256()
    with source.open("rb") as reader, written(target) as beside, beside.open("wb") as writer:
        while chunk := reader.read(CHUNK):
            digest.update(chunk)
            writer.write(chunk)
            bar.update(len(chunk))
        if sha256 is not None and digest.hexdigest() != sha256:
            raise Damaged.of(source, "its content has changed since it was made")
