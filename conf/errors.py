"""Defines the error that the user can fix: it ends the program with one line and exit code 2."""

import re

from hydra.errors import CompactHydraException


class BadInput(CompactHydraException):
    """The user's input can't be used; the message says what is wrong, where, and what to do."""

    def __init__(self, message: str) -> None:
        # A process that loads data passes an error on as the text of its traceback, whose last line is the message.
        if message.startswith("Caught BadInput in "):
            message = message.rstrip().rpartition(f"{__name__}.BadInput: ")[2]
        super().__init__(message)


def first_line(error: BaseException) -> str:
    """Returns the first line of the message, without the codes that colour a terminal, and the second if the first
    only announces it ("backend='inductor' raised:"); the error's kind if there is no message."""
    text = re.sub(r"\x1b\[[\d;]*m", "", str(error)).strip() or type(error).__name__
    first, *others = (line.strip() for line in text.splitlines())
    return f"{first} {others[0]}" if first.endswith(":") and others else first
