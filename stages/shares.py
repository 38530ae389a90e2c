"""Shares of a result: jobs that make a part of it each, without waiting for each other, and one that joins the parts.

With interactions.shard=2/8 a run makes the second of eight shares, and leaves the result incomplete; join/8 makes
nothing new, and completes the result. The units of a result (its epochs, or blocks of samples) have a fixed order, and
share i is the i-th of k ranges, so that it needs few checkpoints.

    <result>/shards/<key>/     what shares have made from the same inputs

In a result's folder everything else belongs to the process that holds its lock. Shares hold none: each attempt writes
files of its own, or replaces a file by an equal one, so that they can be killed, be started twice, or wake up late. The
key tells what the inputs hold; if one is made again, later shares go to another folder, and what lies in the first is
never joined.
"""

import hashlib
import json
import shutil
from bisect import bisect_right
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Self, TypeVar

from omegaconf import DictConfig, OmegaConf

from conf.errors import BadInput
from conf.schema import FEATURES, SIMILAR, VALUES
from stages.checksums import SHARDS
from stages.identity import Result
from stages.locks import check_owner
from stages.results import hashes
from stages.table import Stage

Unit = TypeVar("Unit")
DIGITS = 12


@dataclass(frozen=True)
class Share:
    """One of `of` shares, counted from 1, or the join of all of them (None)."""

    key: str
    number: int | None
    of: int

    @classmethod
    def asked(cls, cfg: DictConfig, stage: Stage) -> Self | None:
        """Returns what the configuration asks of a stage; None if it is made as a whole."""
        text = OmegaConf.select(cfg, f"{stage.name}.shard")
        if text is None:
            return None
        number, _, of = text.partition("/")
        return cls(f"{stage.name}.shard", None if number == "join" else int(number), int(of))

    @property
    def joins(self) -> bool:
        return self.number is None

    def __str__(self) -> str:
        return f"{'join' if self.joins else self.number}/{self.of}"

    def part(self, units: Sequence[Unit]) -> Sequence[Unit]:
        """Returns the units of this share."""
        bounds = self._bounds(len(units))
        return units[bounds[self.number - 1] : bounds[self.number]]

    def missing(self, name: str, places: Collection[int], count: int) -> BadInput | None:
        """Returns the error for units of the result `name` that no share has made, None if there are none. places: of
        these among all `count`."""
        if not places:
            return None
        bounds = self._bounds(count)
        numbers = sorted({bisect_right(bounds, place) for place in places})
        several = len(numbers) > 1
        again = " and ".join([f"{self.key}={numbers[0]}/{self.of}", *(f"{other}/{self.of}" for other in numbers[1:])])
        if len(numbers) > 3:
            again = f"{self.key}=I/{self.of} with each of these numbers I"
        return BadInput(
            f"{name}: shard{'s' * several} {_ranges(numbers)} of {self.of} {'are' if several else 'is'} missing "
            f"({len(places)} of {count} units): run {again}, then {self.key}={self}"
        )

    def _bounds(self, count: int) -> list[int]:
        return [count * number // self.of for number in range(self.of + 1)]


def in_shares(cfg: DictConfig, result: Result) -> Share | None:
    """Returns the share of the result that this run makes; None if the run makes it, or joins it, as a whole."""
    share = Share.asked(cfg, result.stage)
    return share if share and not share.joins and result.name in (*VALUES, *SIMILAR) else None


def left_to_join(cfg: DictConfig, result: Result) -> bool:
    """Tells whether shares leave the result to the run that joins them: features are not worth sharing out."""
    share = Share.asked(cfg, result.stage)
    left = bool(share) and not share.joins and result.name in FEATURES
    if left:
        print(f"{result.name}: no share is made of it; {share.key}=join/{share.of} makes it", flush=True)
    return left


def key_of(result: Result) -> str:
    """Returns what tells the result's inputs from others of the same settings: the hashes of their files."""
    held = {name: [read.digest, hashes(read.folder)] for name, read in result.inputs.items()}
    return hashlib.sha256(json.dumps(held, sort_keys=True).encode()).hexdigest()[:DIGITS]


def folder_of(result: Result, key: str | None = None) -> Path:
    return result.folder / SHARDS / (key or key_of(result))


def check_same_inputs(result: Result, key: str) -> None:
    """Raises BadInput if an input has been made again: what was just read may be of the new one."""
    if key_of(result) != key:
        raise BadInput(f"{result.name}: what it is made from has changed meanwhile: run the same command again")


def remove_others(result: Result, key: str | None) -> None:
    """Removes all that shares have left in a result's folder, except with this key. A file that is still open somewhere
    may stay behind."""
    for folder in (result.folder / SHARDS).glob("*"):
        if folder.name != key:
            check_owner(folder)
            shutil.rmtree(folder, ignore_errors=True)
    with suppress(OSError):  # it is not empty
        (result.folder / SHARDS).rmdir()


def _ranges(numbers: list[int]) -> str:
    """Returns 1 to 3, 7 for [1, 2, 3, 7]."""
    return ", ".join(_range([number for _, number in run]) for run in _runs(numbers))


def _runs(numbers: list[int]) -> Iterator[Iterator[tuple[int, int]]]:
    return (run for _, run in groupby(enumerate(numbers), key=lambda pair: pair[1] - pair[0]))


def _range(run: list[int]) -> str:
    return ", ".join(map(str, run)) if len(run) < 3 else f"{run[0]} to {run[-1]}"
