"""What the command-line tools of this room share: an error that their user can mend is one line, and exit code 2."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from conf.errors import BadInput


@contextmanager
def errors_in_one_line() -> Iterator[None]:
    """Of the errors of Python, those of a disk are the user's too: no right to write, no space left."""
    try:
        yield
    except BadInput as error:
        _refuse(str(error))
    except OSError as error:
        _refuse(": ".join(str(part) for part in (error.filename, error.strerror or error) if part))


def _refuse(line: str) -> None:
    print(line, file=sys.stderr)
    sys.exit(2)
