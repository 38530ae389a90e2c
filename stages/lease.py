"""A lease: which of several processes, on any machines, may work in a folder. It needs no locks of the disk, which many
network file systems lack, or keep to one machine.

    .scratch-1f2e.lease/7    {"token": ..., "pid": 4711, "host": "node3", ...}     who made this file
                             {"released": ...}                                     a second line, once it is given back

The files of a lease are numbered, and numbers only grow. Who made the file with the highest number has the lease. To
take it, a process writes a temporary file, reads the highest file, and if that one is released or stale, links its own
to the next number: only one process can, on NFS as well. Then it looks again. One that was held up between reading and
linking may have made a number that is lower than the newest by now (lower ones are removed): it removes its own and has
nothing. Who has the lease removes all else, temporary files included, so that none who read an older state links later.

The holder touches its file every BEAT seconds. Whoever waits and sees no change for STALE seconds of its own clock
takes over; clocks of machines are not compared, but for a holder on another machine that was silent for LONG. A holder
on this machine whose process has ended is stale at once. One that was only stopped, and continues, is no longer the
owner, and learns it before it renames or removes anything (`check`). What is left is a stop between this check and the
renaming: then it puts a complete file in place, with the content that the new owner's has, too.

A file is opened each time, since network file systems keep what they know of a file, and ask again at an opening.
"""

import errno
import json
import os
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from conf.errors import BadInput
from stages.holder import has_ended, is_here, this_process

BEAT, STALE, LONG = 10, 120, 3600  # seconds
NO_LINKS = (errno.EPERM, errno.EACCES, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EINVAL)
GONE = (errno.ENOENT, errno.ESTALE)  # the second is what NFS says of a file that another machine removed


class TakenOver(Exception):
    """Another process has taken over the folder that this one works in: it must write nothing more."""


@dataclass(frozen=True)
class Seen:
    """The newest file of a lease. number: 0 without any; content: b"" if it could not be read; beat: its time in ns."""

    number: int = 0
    content: bytes = b""
    beat: int = 0

    @property
    def holder(self) -> dict:
        """What the file says of its maker; {} if it is not known."""
        try:
            return dict(json.loads(self.content.split(b"\n")[0]))
        except (ValueError, TypeError):
            return {}

    @property
    def released(self) -> bool:
        return not self.number or b"\n" in self.content

    def is_silent(self, now: float) -> bool:
        """Tells whether it was made on another machine, and nothing was heard of its maker for LONG. now: in ns."""
        return 0 < self.beat < now - LONG * 1e9 and not is_here(self.holder)


def place_of(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.lease")


def look(place: Path) -> Seen:
    number = max(_numbers(place), default=0)
    if not number:
        return Seen()
    try:
        with open(place / str(number), "rb") as file:
            return Seen(number, file.read(), os.fstat(file.fileno()).st_mtime_ns)
    except OSError as error:
        if error.errno not in GONE:
            raise
        return Seen(number)


class Lease:
    """A lease on `folder`, to be taken once. number: of this process's file, 0 until it is taken."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.place, self.number = folder, place_of(folder), 0
        self.maker, self._content = (os.getpid(), threading.get_ident()), _signed()
        self._given, self._seen, self._quiet, self._looked = threading.Event(), None, 0.0, 0.0

    def take(self) -> bool:
        """Takes the lease if it is free, and returns whether it did. Raises OSError on a disk that can't be written
        to, and BadInput on one where no file can be made by one process alone."""
        for _ in self.steps():
            pass
        if self.number:
            threading.Thread(target=self._beats, daemon=True).start()
        return self.number > 0

    def steps(self) -> Iterator[None]:
        """Takes the lease, and pauses wherever another process may come in between (tests try all orders)."""
        first, free = self._seen is None, self._is_free(look(self.place))
        if not (first or free):
            return
        yield
        with suppress(FileExistsError):
            self.place.mkdir()
        made = self.place / f".{secrets.token_hex(8)}.tmp"
        try:
            try:
                made.write_bytes(self._content)
                now = made.stat().st_mtime_ns  # by the clock that the beats are told by
            except FileNotFoundError:  # another process has just removed it
                return
            yield
            seen = look(self.place)
            yield
            if self._is_free(seen, now) and self._made(made, seen.number + 1):
                yield
                yield from self._confirmed(seen.number + 1)
        finally:
            made.unlink(missing_ok=True)

    def owned(self) -> bool:
        return not self._given.is_set() and self._is_newest(self.number)

    def check(self) -> None:
        """Raises TakenOver if this process no longer has the lease."""
        if not self.owned():
            raise TakenOver(self.why_lost())

    def why_lost(self) -> str:
        again, seen = "run the same command to go on", look(self.place)
        if seen.number <= self.number:
            return f"{self.place} was deleted while this process worked in {self.folder}: {again}"
        by = "process {pid} on {host}".format(**seen.holder) if seen.holder else "another process"
        return (
            f"{self.folder} was taken over by {by}: this process was stopped or could not reach the disk for more than "
            f"{STALE:g} seconds; {again}"
        )

    def release(self) -> None:
        """Gives the lease back. The file is not replaced: a process that was stopped here must not bring it back."""
        self._given.set()
        with suppress(OSError), open(self._file(self.number), "r+b") as file:
            if file.read() == self._content and self.maker[0] == os.getpid():  # a fork does not give it back
                file.write(f'\n{{"released": "{_now()}"}}'.encode())

    def remove(self) -> None:
        """Removes the lease together with what it was for. Nobody can go by what was there before: whoever has read it
        has lost its temporary file since."""
        self.check()
        self._given.set()
        self._file(self.number).unlink(missing_ok=True)
        with suppress(OSError):  # others wait, and their files are there
            self.place.rmdir()

    def _file(self, number: int) -> Path:
        return self.place / str(number)

    def _is_free(self, seen: Seen, now: int | None = None) -> bool:
        """now: the time of a new file, in ns."""
        moment = time.monotonic()
        if seen == self._seen:  # a process that was itself stopped has seen nothing meanwhile
            self._quiet += min(moment - self._looked, BEAT)
        else:
            self._seen, self._quiet = seen, 0.0
        self._looked = moment
        if seen.released or has_ended(seen.holder) or self._quiet >= STALE:
            return True
        return now is not None and seen.is_silent(now)

    def _made(self, made: Path, number: int) -> bool:
        """Makes the file with this number, unless another process does; returns whether it is this process's."""
        try:
            os.link(made, self._file(number))
        except FileExistsError:  # NFS may have repeated a request that had been successful
            return self._is_newest(number)
        except FileNotFoundError:  # another process has taken the lease
            return False
        except OSError as error:
            if error.errno not in NO_LINKS:
                raise
            return self._made_alone(number)
        return True

    def _made_alone(self, number: int) -> bool:
        """Does the same on a disk without links."""
        try:
            with open(self._file(number), "xb", buffering=0) as file:
                file.write(self._content)
        except (FileExistsError, FileNotFoundError):
            return False
        except OSError as error:
            if error.errno not in NO_LINKS:
                raise
            raise BadInput(
                f"the disk of {self.folder.parent} has neither links nor files that one process alone can make "
                f"({error.strerror}), so two runs could work on one result: choose another one, with output=..."
            ) from None
        return True

    def _confirmed(self, number: int) -> Iterator[None]:
        """The file was made. Its own change to the folder makes NFS list it anew."""
        if not self._is_newest(number):
            with suppress(OSError):
                self._file(number).unlink()
            return
        yield
        for name in os.listdir(self.place):
            if not name.isdigit() or int(name) < number:
                with suppress(OSError):
                    os.unlink(self.place / name)
        self.number = number

    def _is_newest(self, number: int) -> bool:
        seen = look(self.place)
        return seen.number == number and seen.content == self._content

    def _beats(self) -> None:
        while not self._given.wait(BEAT):
            with suppress(OSError):
                os.utime(self._file(self.number))


def _numbers(place: Path) -> list[int]:
    try:
        return [int(name) for name in os.listdir(place) if name.isdigit()]
    except OSError as error:
        if error.errno not in GONE:
            raise
        return []


def _signed() -> bytes:
    about = {"job": os.environ.get("SLURM_JOB_ID"), "since": _now()}
    return json.dumps({"token": secrets.token_hex(16), **this_process(), **about}).encode()


def _now() -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S")
