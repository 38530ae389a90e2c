"""The values that shards compute (stages/shares.py), before they are joined: in about one file per shard.

<result>/shards/<key>/engine.json               how values are computed, in which blocks; decided once
<result>/shards/<key>/3-of-8.1f2e3d4c.values    what one attempt of a shard has computed; it alone appends to this file

Such a file holds records: a line of JSON after its checksum (CRC-32), then as many bytes of values as the line says.

    8c736521 {"shard": "3/8", "choices": {...}, "device": "cpu", "bytes": 0, "crc": 0}
    1a2b3c4d {"epoch": 12, "first": 30, "samples": 10, "bytes": 327680, "crc": 2768625435}
    <float64 [10, 2**12]>

An attempt that is killed leaves a last record that is too short: it is ignored, and so are values with another
checksum. The next attempt reads all files, and computes what no file holds. A file whose first record names other
choices than engine.json is ignored as a whole.
"""

import json
import os
import secrets
import zlib
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from interactions.store import Samples, Store
from stages import shares
from stages.files import beside, remove
from stages.identity import Result
from stages.reading import Damaged
from stages.records import read_record, write_record
from stages.results import has_these_inputs
from stages.shares import Share

LONGEST = 2**20  # bytes of a record's line
Unit = tuple[int, range]  # epoch; block of samples


class Place(NamedTuple):
    """Where the values of a unit are. rows: samples."""

    file: Path
    offset: int
    bytes: int
    crc: int
    rows: int
    device: str

    def values(self) -> np.ndarray:
        """Returns [samples, 2**n]. Raises Damaged if they have changed."""
        with self.file.open("rb") as file:
            found = self.read(file)
        if found is None:
            raise Damaged.of(self.file, "values have changed since they were computed")
        return found

    def read(self, file: BinaryIO) -> np.ndarray | None:
        """Returns the same from the opened file, or None if the values have changed."""
        file.seek(self.offset)
        held = file.read(self.bytes)
        if zlib.crc32(held) != self.crc:
            return None
        return np.frombuffer(held, "<f8").reshape(self.rows, -1)


class Shards:
    """What the shards of one result have computed from the inputs as they are now. share: the one that writes here,
    None for a run that only reads."""

    def __init__(self, result: Result, samples: Samples, share: Share | None = None, device: str = "") -> None:
        self.result, self.samples, self.share, self.device = result, samples, share, device
        self.key = shares.key_of(result)
        self.folder = shares.folder_of(result, self.key)
        self._file: BinaryIO | None = None
        self._epoch: int | None = None  # whose values were written last

    def record(self) -> dict:
        """Returns {"choices", "blocks"}, {} if no shard has decided yet. Raises Damaged."""
        path = self.folder / "engine.json"
        known = read_record(path)
        if known is None and path.exists():
            raise Damaged.of(path, "it can't be read")
        return known or {}

    def choices(self) -> dict[str, dict]:
        return self.record().get("choices", {})

    def blocks(self) -> list[range]:
        return [range(first, last + 1) for first, last in self.record().get("blocks", [])]

    def decide(self, choices: dict[str, dict], blocks: list[range]) -> None:
        """Writes down how values are computed, unless another shard did so first."""
        path = self.folder / "engine.json"
        made = beside(path)
        write_record(made, {"choices": choices, "blocks": [[block[0], block[-1]] for block in blocks]})
        try:
            os.link(made, path)  # of several that do this at once, one succeeds
        except FileExistsError:
            pass
        except OSError:  # a disk without links: of two at the same moment, one computes what will not be joined
            if not path.exists():
                os.replace(made, path)
        finally:
            made.unlink(missing_ok=True)

    def write_part(self, epoch: int, block: range, v: np.ndarray) -> None:
        if epoch != self._epoch:  # its weights were read before
            shares.check_same_inputs(self.result, self.key)
            self._epoch = epoch
        values = np.ascontiguousarray(v, "<f8").tobytes()
        self._append({"epoch": epoch, "first": block[0], "samples": len(block)}, values)

    def discard(self, epoch: int) -> None:
        """Makes all values of an epoch, as far as there are files now, count as missing."""
        self._append({"wrong": epoch, "files": [file.name for file in self._files()]})

    def found(self, wanted: Collection[Unit], verify: bool = True) -> dict[Unit, Place]:
        """Returns where the values of these units are, as far as they exist. verify: whether their checksums are
        compared, which reads all of them."""
        wanted, choices = set(wanted), self.choices()
        places: dict[Unit, list[Place]] = {}
        wrong: set[tuple[str, int]] = set()
        for path in self._files():
            with path.open("rb") as file:
                for about, offset, device in _records(path, file, choices):
                    if "wrong" in about:
                        wrong |= {(name, about["wrong"]) for name in about["files"]}
                    elif (unit := _unit(about)) in wanted:
                        place = Place(path, offset, about["bytes"], about["crc"], about["samples"], device)
                        if not verify or place.read(file) is not None:
                            places.setdefault(unit, []).append(place)
        right = {unit: [place for place in several if (place.file.name, unit[0]) not in wrong]
                 for unit, several in places.items()}  # fmt: skip
        return {unit: several[0] for unit, several in right.items() if several}

    def done(self, units: Collection[Unit], verify: bool = True) -> set[Unit]:
        """Returns which of these units are in the store or in a file of a shard."""
        store, there = Store(self.result.folder, self.samples), set()
        if has_these_inputs(self.result):
            parts = bool(self.choices()) and self.choices() == self.choices_of_store()
            there = {(epoch, block) for epoch, block in units
                     if store.has(epoch) or (parts and store.has_part(epoch, block))}  # fmt: skip
        return there | self.found(set(units) - there, verify).keys()

    def choices_of_store(self) -> dict[str, dict]:
        """Returns how the values in the store were computed from the inputs as they are now; {} if there are none."""
        return (has_these_inputs(self.result) and read_record(self.result.folder / "engine.json")) or {}

    def clean(self, store: Store) -> None:
        """Removes files of which all values are in the store, and those made from inputs that are not there any
        more."""
        choices = self.choices()
        for path in self._files():
            with path.open("rb") as file:
                if all(store.has(about["epoch"]) for about, *_ in _records(path, file, choices) if "epoch" in about):
                    remove(path)
        shares.remove_others(self.result, self.key if self._files() else None)

    def _files(self) -> list[Path]:
        return sorted(self.folder.glob("*.values"))

    def _append(self, about: dict, values: bytes = b"") -> None:
        if self._file is None:
            name = f"{self.share.number}-of-{self.share.of}.{secrets.token_hex(4)}.values"
            self._file = (self.folder / name).open("xb")
            self._append({"shard": str(self.share), "choices": self.choices(), "device": self.device})
        line = json.dumps(about | {"bytes": len(values), "crc": zlib.crc32(values)}).encode()
        self._file.write(b"%08x %b\n" % (zlib.crc32(line), line))
        self._file.write(values)
        self._file.flush()


def _unit(about: dict) -> Unit:
    return about["epoch"], range(about["first"], about["first"] + about["samples"])


def _records(path: Path, file: BinaryIO, choices: dict) -> Iterator[tuple[dict, int, str]]:
    """Yields the line of each record that is there in full, where its values begin, and the device that computed
    them."""
    size, first = path.stat().st_size, None
    while line := file.readline(LONGEST):
        if line[:8] != b"%08x" % zlib.crc32(line[9:-1]):  # also if it is too short; what follows can't be found
            return
        about, offset = json.loads(line[9:]), file.tell()
        if offset + about["bytes"] > size or (first is None and about["choices"] != choices):
            return
        if first is not None:
            yield about, offset, first["device"]
        first = first or about
        file.seek(offset + about["bytes"])
