"""For the command-line tools in this folder: an error that their user can correct is one line, with exit code 2."""

from collections.abc import Iterator
from contextlib import contextmanager

from conf.errors import BadInput
from stages import ending
from stages.space import is_no_space


@contextmanager
def errors_in_one_line() -> Iterator[None]:
    """Treats Python's errors of a disk as the user's errors, too: missing permission to write, a missing folder."""
    with ending.errors_in_one_line():
        try:
            yield
        except OSError as error:
            if is_no_space(error):
                raise
            raise BadInput(
                ": ".join(str(part) for part in (error.filename, error.strerror or error) if part)
            ) from error
