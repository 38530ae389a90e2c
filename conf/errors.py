"""The one kind of error that the user can fix: it ends the program with one line and exit code 2."""

from hydra.errors import CompactHydraException


class BadInput(CompactHydraException):
    """Something the user gave can't be used: says what, where, and what to do."""

    def __init__(self, message: str) -> None:
        # A process that loads data hands an error on as the text of its traceback, which ends with the one line.
        if message.startswith("Caught BadInput in "):
            message = message.rstrip().rpartition(f"{__name__}.BadInput: ")[2]
        super().__init__(message)
