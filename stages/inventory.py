"""Lists what a folder of outputs contains: runs and the results they show, results and what they were made from.

It is told from the files alone, without a configuration, and by names and digests rather than by the paths of the time
when something was made: folders of outputs are moved, copied to other machines, and joined.
"""

import glob
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from conf.errors import BadInput
from stages.files import is_temporary
from stages.records import read_record


@dataclass(frozen=True)
class Shown:
    """A result that a run shows; folder: where it lies, or lay."""

    folder: Path
    digest: str


def runs(outputs: Path) -> Iterator[Path]:
    """The folders that show results, in any depth. Links are followed: runs may have been moved to another disk. Raises
    OSError for a folder that can't be read: it is not known which runs lie there."""
    place_of_results = (outputs / "results").resolve()
    seen = {outputs.resolve()}
    for place, inner, files in os.walk(outputs, onerror=_check_gone, followlinks=True):
        if "results.json" in files:
            yield Path(place)
        real = {name: Path(place, name).resolve() for name in inner}
        inner[:] = [
            name
            for name, path in real.items()
            if path not in seen and not (path.is_relative_to(place_of_results) and _is_result(path))
        ]
        seen.update(real.values())


def shown(run: Path) -> dict[str, Shown]:
    """Name -> each result that a run's results.json lists. Raises BadInput if it can't be read."""

    def parse(listed: dict) -> dict[str, Shown]:
        # By its words: where a run lies behind a link, .. leads to another place.
        return {
            name: Shown(Path(os.path.normpath(run.absolute() / entry["path"])), entry["digest"])
            for name, entry in listed.items()
        }

    return _read(run / "results.json", parse)


def results(outputs: Path) -> list[Path]:
    """The folders of all results, resolved, sorted; what a killed deletion has left, too. Links are left out."""
    found = []
    for place, inner, files in os.walk((outputs / "results").resolve(), onerror=_check_gone):
        if _is_result(Path(place)):
            found.append(Path(place))
        if _is_result(Path(place)) or "results.json" in files:
            inner.clear()
    return sorted(found)


def shown_by(outputs: Path, runs: Iterable[Path]) -> set[Path]:
    """The folders that the runs show, resolved. Of a run that has been moved paths lead nowhere, but digests do not
    change."""
    found = set()
    for run in runs:
        for name, entry in shown(run).items():
            found |= {entry.folder.resolve()} if entry.folder.is_dir() else of_digest(outputs, name, entry.digest)
    return found


def with_origins(outputs: Path, folders: Iterable[Path]) -> set[Path]:
    """The folders, and those of all results that they are made from, and so on. Raises BadInput for a list of inputs
    that can't be read."""
    found, todo = set(), list(folders)
    while todo:
        folder = todo.pop()
        if folder not in found:
            found.add(folder)
            todo += _made_from(outputs, folder)
    return found


def of_digest(outputs: Path, name: str, digest: str) -> set[Path]:
    return {folder.resolve() for folder in (outputs / "results" / name).glob(f"*-{glob.escape(digest)}")}


def _is_result(folder: Path) -> bool:
    """Of a folder in results/, where a run may lie as well: who forbids to call it so?"""
    return is_temporary(folder) or ((folder / "config.yaml").exists() and not (folder / "results.json").exists())


def _made_from(outputs: Path, folder: Path) -> set[Path]:
    file = folder / "inputs.json"
    if not file.exists():
        return set()
    inputs = _read(file, lambda content: {name: read["digest"] for name, read in content.items()})
    return {place for name, digest in inputs.items() for place in of_digest(outputs, name, digest)}


def _read(file: Path, parse: Callable[[dict], dict]) -> dict:
    try:
        return parse(read_record(file))
    except (LookupError, TypeError, AttributeError):
        raise BadInput(
            f"{file} is damaged, so it is not known which results belong to it: move {file.parent} away, or delete it"
        ) from None


def _check_gone(error: OSError) -> None:
    """A folder that was deleted while others were looked at is not an error."""
    if not isinstance(error, FileNotFoundError):
        raise error
