"""Recognises a full disk among errors, and writes the message about it."""

import errno
import os
from pathlib import Path

from conf.errors import BadInput
from stages.need import free_disk, gigabytes

NUMBERS = (errno.ENOSPC, errno.EDQUOT)
# Texts of errors without a number: from PyTorch's writer, NumPy's, and processes that load data.
WORDS = ("PytorchStreamWriter failed", "inline_container.cc", " requested and ", *map(os.strerror, NUMBERS))


def is_no_space(error: BaseException | None) -> bool:
    """Tells whether an error, or one that led to it, says that a disk is full."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in NUMBERS:
            return True
        if isinstance(error, (OSError, RuntimeError)) and any(words in str(error) for words in WORDS):
            return True
        error = error.__cause__ or error.__context__
    return False


def no_space(error: BaseException, output: Path, needed: int | None = None) -> BadInput:
    """Returns the error to show. needed: bytes that are still to be written to `output`, if that is known."""
    path = Path(getattr(error, "filename", None) or output).absolute()
    folder = path if path.is_dir() else path.parent
    inside = folder.is_relative_to(output.absolute())
    free = free_disk(folder)
    wanted = f"{gigabytes(needed)} needed, " if inside and needed and needed > free else ""
    return BadInput(
        f"no space left on {output if inside else folder}: {wanted}{gigabytes(free)} free; run the same command again "
        f"when there is space"
    )
