"""What the command-line tools of this room share: an error that their user can fix is one line, and exit code 2."""

from collections.abc import Iterator
from contextlib import contextmanager

from conf.errors import BadInput
from stages import ending
from stages.space import is_no_space


@contextmanager
def errors_in_one_line() -> Iterator[None]:
    """Of the errors of Python, those of a disk are the user's too: no right to write, no such folder."""
    with ending.errors_in_one_line():
        try:
            yield
        except OSError as error:
            if is_no_space(error):
                raise
            raise BadInput(
                ": ".join(str(part) for part in (error.filename, error.strerror or error) if part)
            ) from error
