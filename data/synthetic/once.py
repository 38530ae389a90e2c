"""Tiny synthetic data sets in the official formats, for the real readers where the real files are missing.

The writers are `arrays` (all pixels in a few files), `photographs` (a file per image) and `reviews`. Each writes below
<root>/synthetic, once, and returns the folder to read from in place of `root`.
"""

from collections.abc import Callable
from pathlib import Path

from conf.errors import BadInput
from stages.files import folder_beside
from stages.space import is_no_space

Writer = Callable[[Path, int], None]


def once(write: Writer) -> Callable[[str | Path, int], Path]:
    """Turns a function that writes a folder into one that writes <root>/synthetic/<its name>-<samples per class>,
    unless this exists, and returns it."""

    def written(root: str | Path, per_class: int) -> Path:
        folder = Path(root, "synthetic", f"{write.__name__.strip('_')}-{per_class}")
        _write_beside(folder, lambda place: write(place, per_class))
        return folder

    written.__name__, written.__doc__ = write.__name__, write.__doc__
    return written


def _write_beside(folder: Path, write: Callable[[Path], None]) -> None:
    """Writes the folder unless it exists, under another name first: so a folder that exists is complete."""
    if folder.exists():
        return
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with folder_beside(folder) as beside:
            place = beside / folder.name
            write(place)
            if not folder.exists():
                place.rename(folder)
    except OSError as error:
        if is_no_space(error):
            raise
        if not folder.exists():  # else another process was faster
            raise BadInput(f"data.root: can't write to {folder.parent} ({error.strerror})") from None
