"""Checks before any work that all images of a study can be read, so that none of them stops a training later.

To decode a million photographs takes hours. So the check looks for the most common damage, a copy or download that was
cut off: it reads the header and the end of a JPEG, and the checksums of all parts of a PNG. It decodes an image only if
these leave doubts, and every image of another format, so that it refuses no image that can be read. Images that are in
order are remembered (stages/checked.py). The check only looks at image files, and only at those that the study uses.

On two cores, 10,000 JPEGs of 500x375 pixels take 0.5 s (decoding them would take 6 s), and at the next start 0.05 s.
"""

import os
from time import monotonic

import numpy as np
from PIL import Image, UnidentifiedImageError

from conf.errors import BadInput
from conf.first_line import first_line
from data.pictures import Files, upright
from data.splits import Splits
from data.threads import in_threads
from stages.checked import Checked, marks_of
from stages.progress import EVERY, Bar

END_OF_JPEG = b"\xff\xd9"
LAST = 64  # bytes: some programs write a few bytes after the end

_checked: set[tuple[Files, int]] = set()  # in this process


def check(splits: Splits, seen: Checked) -> None:
    """Raises BadInput if images of the task can't be read. seen: images that could be read, now or in an earlier
    run."""
    for dataset in (splits.train, splits.test):
        pictures = getattr(dataset, "pictures", None)
        if isinstance(pictures, Files) and (key := (pictures, hash(dataset.indices.tobytes()))) not in _checked:
            _check([pictures.paths[index] for index in dataset.indices], seen)
            _checked.add(key)


def _check(paths: list[str], seen: Checked) -> None:
    started, marks = monotonic(), marks_of(paths)
    wanted, reasons = np.flatnonzero(~seen.known(marks)), []
    try:
        found = in_threads(lambda index: damage(paths[index]), wanted)
        reasons.extend(Bar(found, "checking images", len(wanted), False, unit="image", disable=not len(wanted)))
    finally:
        seen.learn(marks[[index for index, reason in zip(wanted, reasons, strict=False) if not reason]])
        if monotonic() - started > EVERY:  # the result of a long check is kept even if the run fails later
            seen.save()
    damaged = [(paths[index], reason) for index, reason in zip(wanted, reasons, strict=True) if reason]
    if damaged:
        first, reason = damaged[0]
        raise BadInput(
            f"{len(damaged):,} of {len(paths):,} images can't be read, the first is {first} ({reason}): replace "
            f"{'them' if len(damaged) > 1 else 'it'}, or leave all such images out with data.skip_corrupt=true"
        )


def damage(path: str) -> str:
    """Returns in one line what is wrong with an image file; "" if nothing is."""
    try:
        if not _is_whole(path):
            upright(path)
    except Exception as error:  # decoders raise many kinds
        if isinstance(error, UnidentifiedImageError):
            return "it is not an image"
        return os.strerror(error.errno) if getattr(error, "errno", None) else first_line(error)
    return ""


def _is_whole(path: str) -> bool:
    """Returns whether the file is complete, as far as this can be told without decoding it.

    Raises what the decoder raises for a header that can't be read.
    """
    with Image.open(path) as image:
        if image.format in ("JPEG", "MPO"):
            image.fp.seek(-LAST, os.SEEK_END)
            return END_OF_JPEG in image.fp.read()
        if image.format != "PNG":
            return False
        try:
            image.verify()
        except Exception:  # many kinds; some of these images can be decoded nevertheless
            return False
        return True
