"""Defines the error that the user can fix: it ends the program with one line and exit code 2."""

from hydra.errors import CompactHydraException


class BadInput(CompactHydraException):
    """The user's input can't be used; the message says what is wrong, where, and what to do."""

    def __init__(self, message: str) -> None:
        # A process that loads data passes an error on as the text of its traceback, whose last line is the message.
        if message.startswith("Caught BadInput in "):
            message = message.rstrip().rpartition(f"{__name__}.BadInput: ")[2]
        super().__init__(message)
