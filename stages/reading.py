"""Reads files of results, and refuses those that have changed since their stage wrote them.

A disk, a copy or a careless user may change a byte of a file without changing its size. So the bytes of every file
are compared, as they are read, with its checksum in done.json. For example, checkpoints/epoch_003.pt is read into
memory once, hashed there, and only then made into weights. A file that is not in a done.json (the result is still
being made, or it is not a result) has to be readable in its own format.
"""

import hashlib
import io
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, TypeVar

from conf.errors import BadInput
from stages.records import read_record

Content = TypeVar("Content")
DEPTH = 2  # folders between a file and its result's folder, at most


class Damaged(BadInput):
    """One of this program's files with other content than was written. The message has the command that repairs it."""

    def __init__(self, message: str) -> None:
        super().__init__(message)

    @classmethod
    def of(cls, file: Path, reason: str) -> "Damaged":
        return cls(f"{file} is damaged ({reason}); this repairs it: {_mending(file)}")


def parsed(file: Path, parse: Callable[[BinaryIO], Content]) -> Content:
    """Returns what `parse` makes of a result's file. Raises BadInput if it is missing, Damaged if it has changed or
    can't be parsed."""
    content = _content(file)
    try:
        return parse(io.BytesIO(content))
    except BadInput:
        raise
    except Exception as error:  # numpy, torch and pandas raise many kinds, with advice that does not fit these files
        raise Damaged.of(file, "it can't be read") from error


def _content(file: Path) -> bytes:
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        raise BadInput(f"{file} was not found: run the same command again, with the stage that makes it") from None
    except OSError as error:  # a disk that fails
        raise Damaged.of(file, error.strerror or "it can't be read") from None
    sha256 = _recorded(file)
    if sha256 and hashlib.sha256(content).hexdigest() != sha256:
        raise Damaged.of(file, "its content has changed since it was made")
    return content


def _recorded(file: Path) -> str | None:
    """Returns the checksum of a file in a complete result; None for any other file."""
    for folder in file.parents[: DEPTH + 1]:
        if done := read_record(folder / "done.json"):
            return done.get("files", {}).get(str(file.relative_to(folder)), (0, None))[1]
    return None


def _mending(file: Path) -> str:
    """Returns a command that makes the file again, and what was made from it."""
    remove = f"rm {shlex.quote(str(file))}"
    if Path(sys.argv[0]).name != "run.py":
        return f"{remove}, and the study's command again"
    given = [argument for argument in sys.argv[1:] if not argument.startswith(("stages=", "plan=", "hydra.mode="))]
    return f"{remove} && python run.py {shlex.join(given)}".rstrip()
