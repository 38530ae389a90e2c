"""Names the attempts at a result, so that its mirror (tracking/) can tell them apart.

    tracked.json   attempt: its number, from 1 on; token: some letters, so that the same result of another folder of
                   outputs, or of another user, has another name; whatever the mirror notes of this attempt

An attempt that was interrupted goes on. Another one begins where a finished result is made again, or what it was made
from has changed. An analysis that gets another measure is not made again: its attempt goes on as well.
"""

import secrets
from pathlib import Path

from stages.checksums import TRACKED
from stages.records import read_record, write_record


def number(folder: Path) -> int:
    """Returns the number of the attempt at the result in `folder` that is made now, or was made last."""
    found = noted(folder).get("attempt")
    return found if isinstance(found, int) else 1


def name(folder: Path) -> str:
    """Returns the name of this attempt, such as 2-3f9c; it is noted when it is asked for first."""
    if "token" not in noted(folder):
        note(folder, token=secrets.token_hex(2))
    return f"{number(folder)}-{noted(folder)['token']}"


def noted(folder: Path) -> dict:
    """Returns what was noted of this attempt; {} if there is nothing."""
    return read_record(folder / TRACKED) or {}


def note(folder: Path, **facts: object) -> None:
    """Adds facts to what is noted of this attempt."""
    write_record(folder / TRACKED, {"attempt": number(folder)} | noted(folder) | facts)


def end(folder: Path) -> None:
    """Ends the attempt, if one was noted: the next one has another name."""
    if (folder / TRACKED).exists():
        write_record(folder / TRACKED, {"attempt": number(folder) + 1})
