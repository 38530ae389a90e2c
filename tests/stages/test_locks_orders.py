"""The steps by which processes take a lease, in every order in which they can come.

The actors here are the program's own code, which pauses between any two steps that others may see. Every state that
they can reach is visited: what is on the disk, and how far each of them is.
"""

import errno
import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from stages import lease
from stages.lease import Lease, Seen, look, place_of

KILL = 10  # a step with this added: the actor is killed


@dataclass(eq=False)
class Actor:
    """Tries to take the lease, has it for a step, and gives it back or removes it."""

    lease: Lease
    tries: int
    end: Callable[[Lease], None]
    has_it: bool = False
    had_it: bool = False
    place: Iterator | None = field(init=False)

    def __post_init__(self) -> None:
        self.place = self.steps()

    def steps(self) -> Iterator[None]:
        for _ in range(self.tries):
            yield from self.lease.steps()
            if self.lease.number:
                self.has_it = self.had_it = True
                yield
                self.has_it = False
                self.end(self.lease)
                return
            yield

    def step(self) -> None:
        if next(self.place, self) is self:
            self.place = None

    def at(self) -> tuple:
        """What decides its next steps, together with the disk."""
        running, places = self.place, [_short(self.lease._seen)]
        while running is not None:
            own = running.gi_frame.f_locals
            places.append((running.gi_frame.f_lasti, own.get("_"), own.get("free"), _short(own.get("seen"))))
            running = running.gi_yieldfrom
        left = [file for file in self.lease.place.glob(".*.tmp") if file.read_bytes() == self.lease._content]
        return tuple(places), self.has_it, self.had_it, len(left)


def _short(seen: Seen | None) -> tuple | None:
    return seen and (seen.number, seen.released)


class World:
    """Actors that have gone through the steps of `order`. left: of an earlier holder."""

    def __init__(self, folder: Path, count: int, left: str, tries: int, end: Callable, order: tuple) -> None:
        self.place = place_of(folder / "result")
        shutil.rmtree(self.place, ignore_errors=True)
        if left:
            self.place.mkdir()
            (self.place / "5").write_text(left)
        self.actors, self.dead, self.highest = (
            [Actor(Lease(folder / "result"), tries, end) for _ in range(count)],
            [],
            0,
        )
        for at in order:
            self.step(at)

    def step(self, at: int) -> None:
        self.highest = look(self.place).number
        if at >= KILL:
            self.dead.append(at - KILL)
        else:
            lease.has_ended = lambda who: who["token"] in ["of an earlier one", *(self.token(at) for at in self.dead)]
            self.actors[at].step()

    def token(self, at: int) -> str:
        return json.loads(self.actors[at].lease._content)["token"]

    def running(self) -> list[int]:
        return [at for at, actor in enumerate(self.actors) if actor.place and at not in self.dead]

    def owners(self) -> list[Actor]:
        """Those who would write now."""
        return [actor for actor in self.alive() if actor.lease.number and actor.lease.owned()]

    def alive(self) -> list[Actor]:
        return [actor for at, actor in enumerate(self.actors) if at not in self.dead]

    def state(self) -> tuple:
        """It does not matter which of the actors is which."""
        texts = [(file.name, *file.read_bytes().split(b"\n")) for file in sorted(self.place.glob("[!.]*"))]
        files = {actor.lease._content: [] for actor in self.actors}
        for name, maker, *more in texts:
            files.setdefault(maker, []).append((name, bool(more)))
        actors = [
            (actor.at(), at in self.dead, files.pop(actor.lease._content)) for at, actor in enumerate(self.actors)
        ]
        return tuple(sorted(map(repr, actors))), repr(files)


def explored(build: Callable[[tuple], World], check: Callable[[World], None], kills: int = 0) -> list[World]:
    """Visits every state that can be reached, and checks each. Returns the last ones."""
    seen, todo, ends = set(), [()], []
    while todo:
        world = build(order := todo.pop())
        check(world)
        if (state := world.state()) not in seen:
            seen.add(state)
            running = world.running()
            todo += [(*order, at) for at in running]
            todo += [(*order, at + KILL) for at in running if len(world.dead) < kills]
            ends += [] if running else [world]
    assert len(seen) > 50
    return ends


def keeps_it(world: World) -> None:
    """Who has the lease is the only owner, and stays the owner."""
    assert world.owners() == [actor for actor in world.alive() if actor.has_it]
    assert len(world.owners()) <= 1


@pytest.fixture
def build(tmp_path, monkeypatch):
    """build(count, left, tries, end): makes worlds that start like this."""
    monkeypatch.setattr(lease, "has_ended", None)  # which the actors' world sets, and which is put back

    def make(count: int, left: str = "", tries: int = 1, end: Callable = Lease.release) -> Callable[[tuple], World]:
        return lambda order: World(tmp_path, count, left, tries, end, order)

    return make


ENDED = '{"token": "of an earlier one"}'


@pytest.mark.parametrize(("count", "tries", "kills", "left"), [
    (2, 2, 0, ""), (2, 2, 0, ENDED), (2, 1, 1, f"{ENDED}\n"), (2, 1, 1, ""), (3, 1, 0, f"{ENDED}\n"),
])  # fmt: skip
def test_one_alone_has_it_and_keeps_it(build, count, tries, kills, left):
    ends = explored(build(count, left, tries), keeps_it, kills)
    assert all(any(actor.had_it for actor in world.actors) or world.dead for world in ends), "nobody got it"
    assert any(sum(actor.had_it for actor in world.actors) == count for world in ends), "one after the other"


def test_one_alone_has_it_without_links(build, monkeypatch):
    """Then nothing but the second look stops one that was held up."""
    monkeypatch.setattr(lease.os, "link", _refuses)
    ends = explored(build(3, f"{ENDED}\n"), keeps_it)
    assert any(sum(actor.had_it for actor in world.actors) == 3 for world in ends), "one after the other"


def _refuses(*_: object) -> None:
    raise OSError(errno.EPERM, os.strerror(errno.EPERM))


def test_one_alone_has_it_where_it_is_removed_with_its_folder(build):
    ends = explored(build(3, f"{ENDED}\n", 1, Lease.remove), keeps_it)
    assert all(any(actor.had_it for actor in world.actors) for world in ends), "nobody got it"


def test_who_was_taken_over_is_no_owner_ever_again(build, monkeypatch):
    """All seem to be gone, and none is."""
    monkeypatch.setattr(lease, "STALE", 0)

    def check(world: World) -> None:
        assert len(world.owners()) <= 1
        assert all(actor.lease.number == look(world.place).number for actor in world.owners())
        assert look(world.place).number >= world.highest

    ends = explored(build(2, f"{ENDED}\n", 2), check)
    assert any(all(actor.had_it for actor in world.actors) for world in ends)
