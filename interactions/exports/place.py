"""The folder of an export: written beside, then renamed, and replaced by the same export alone.

<output>/export.json    what was exported from which results, and the files with their checksums

A folder that holds anything else (a file of yours, a card that you have edited) is refused: nothing of it is lost.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from conf.errors import BadInput
from stages.checksums import listed, own_files
from stages.files import folder_beside
from stages.need import free_disk, gigabytes
from stages.records import read_record, write_record
from stages.versions import version_line

RECORD = "export.json"


@contextmanager
def replaced(output: Path, about: dict) -> Iterator[Path]:
    """Gives an empty folder to write to, and renames it to `output` at the end. about: what tells this export from
    others. Raises BadInput as `check` does."""
    check(output, about)
    output = output.resolve()
    output.parent.mkdir(parents=True, exist_ok=True)
    with folder_beside(output) as beside:
        made = beside / "made"
        made.mkdir()
        yield made
        write_record(made / RECORD, {**about, "program": version_line(), "files": listed(made)})
        if output.exists():
            check(output, about)  # once more: it may have taken long
            os.replace(output, beside / "before")
        os.replace(made, output)


def check(output: Path, about: dict) -> None:
    """Raises BadInput unless `output` is new, empty, or holds the same export as it was written."""
    if output.exists() and not output.is_dir():
        raise BadInput(f"{output} is a file: give a new folder")
    if not output.exists() or not any(output.iterdir()):
        return
    record = read_record(output / RECORD) or {}
    if "files" not in record:
        raise BadInput(f"{output} is not empty and holds no export: give a new folder")
    if any(record.get(key) != value for key, value in about.items()):
        raise BadInput(f"{output} holds another export (to={record.get('to')}, of {record.get('run')}): give a new "
                       f"folder, or delete that one")  # fmt: skip
    if other := _changed(output, record["files"]):
        raise BadInput(f"{output / other} was changed or added since the export: move it away, or give a new folder")


def _changed(output: Path, files: dict) -> str | None:
    """Returns the name of a file that is not as the export has written it, if there is one."""
    there = {str(path.relative_to(output)) for path in own_files(output)} - {RECORD}
    now = listed(output)
    return next((name for name in sorted(there) if list(now.get(name, ())) != files.get(name)), None)


def check_disk(count: int, size: int, output: Path) -> None:
    """Prints what will be written, at most. size: bytes in all files. Raises BadInput if the disk has less space."""
    free = free_disk(output)
    files = f"{count} file{'s' * (count > 1)}"
    print(f"{files}, at most {_amount(size)}, will be written to {output}; {gigabytes(free)} are free", flush=True)
    if size > free:
        raise BadInput(f"no space left on {output}: {gigabytes(size)} needed, {gigabytes(free)} free; export fewer "
                       f"epochs=..., samples=... or roles=..., or give an output=... on another disk")  # fmt: skip


def _amount(size: int) -> str:
    return f"{-(-size // 1000)} kB" if size < 10**6 else gigabytes(size)
