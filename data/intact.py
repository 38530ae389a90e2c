"""Can all images that a study uses be read? This is checked before any work, so that none stops a training later.

To decode a million photographs takes hours, so what is looked at is what tells of the common damage, a copy or download
that was cut off. Of a JPEG: its header, and whether its end is there. Of a PNG: the checksums of all its parts. What
these leave in doubt is decoded, and so is every image of another format: no image is refused that can be read. What
is in order is remembered (stages/checked.py). Only files are looked at, and of these the ones that are taken:
others are never opened.

On two cores, 10,000 JPEGs of 500x375 pixels take 0.5 s (to decode them, 6 s), and at the next start 0.05 s.
"""

import os
from time import monotonic

import numpy as np
from PIL import Image, UnidentifiedImageError

from conf.errors import BadInput
from data.pictures import Files, upright
from data.splits import Splits
from data.threads import in_threads
from stages.checked import Checked, marks_of
from stages.progress import EVERY, Bar

END_OF_JPEG = b"\xff\xd9"
LAST = 64  # bytes: some programs write a few more behind the end

_checked: set[tuple[Files, int]] = set()  # of this process


def check(splits: Splits, seen: Checked) -> None:
    """Raises BadInput if images of the task can't be read. seen: those that could be, here or in an earlier run."""
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
        if monotonic() - started > EVERY:  # what took long is kept, whatever becomes of the run
            seen.save()
    damaged = [(paths[index], reason) for index, reason in zip(wanted, reasons, strict=True) if reason]
    if damaged:
        first, reason = damaged[0]
        raise BadInput(
            f"{len(damaged):,} of {len(paths):,} images can't be read, the first is {first} ({reason}): replace "
            f"{'them' if len(damaged) > 1 else 'it'}, or leave all such images out with data.skip_corrupt=true"
        )


def damage(path: str) -> str:
    """What is wrong with an image file, in a line; "" if nothing is."""
    try:
        if not _is_whole(path):
            upright(path)
    except Exception as error:  # decoders raise many kinds
        if isinstance(error, UnidentifiedImageError):
            return "it is not an image"
        return os.strerror(error.errno) if getattr(error, "errno", None) else first_line(error)
    return ""


def _is_whole(path: str) -> bool:
    """Whether that can be told without decoding it; raises what the decoder raises for a header that can't be read."""
    with Image.open(path) as image:
        if image.format in ("JPEG", "MPO"):
            image.fp.seek(-LAST, os.SEEK_END)
            return END_OF_JPEG in image.fp.read()
        if image.format != "PNG":
            return False
        try:
            image.verify()
        except Exception:  # of many kinds; some of these images can be decoded nevertheless
            return False
        return True


def first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
