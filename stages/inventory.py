"""Lists the content of an outputs folder: runs and the results they show, results and what they were made from.

It reads only files, without a configuration, and uses names and digests, not the paths that were written down:
folders of outputs are moved, copied to other machines, and joined.
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
    """A result that a run shows. folder: where it is, or was."""

    folder: Path
    digest: str


def runs(outputs: Path) -> Iterator[Path]:
    """Yields the folders that show results, in any depth. Links are followed, as runs may have been moved to another
    disk. Raises OSError if a folder can't be read, as its runs are not known."""
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
    """Returns each result that a run's results.json lists, by name. Raises BadInput if the file can't be read."""

    def parse(listed: dict) -> dict[str, Shown]:
        # Only the text is normalised: if a run is behind a link, the system's .. leads to another place.
        return {
            name: Shown(Path(os.path.normpath(run.absolute() / entry["path"])), entry["digest"])
            for name, entry in listed.items()
        }

    return _read(run / "results.json", parse)


def results(outputs: Path) -> list[Path]:
    """Returns the folders of all results, resolved and sorted, with those of killed deletions, without links."""
    found = []
    for place, inner, files in os.walk((outputs / "results").resolve(), onerror=_check_gone):
        if _is_result(Path(place)):
            found.append(Path(place))
        if _is_result(Path(place)) or "results.json" in files:
            inner.clear()
    return sorted(found)


def shown_by(outputs: Path, runs: Iterable[Path]) -> set[Path]:
    """Returns the folders that the runs show, resolved. Paths of a moved run lead nowhere, but its digests still
    hold."""
    found = set()
    for run in runs:
        for name, entry in shown(run).items():
            found |= {entry.folder.resolve()} if entry.folder.is_dir() else of_digest(outputs, name, entry.digest)
    return found


def with_origins(outputs: Path, folders: Iterable[Path]) -> set[Path]:
    """Returns the folders, those of all results that they are made from, and so on. Raises BadInput if a list of
    inputs can't be read."""
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
    """Tells whether a folder in results/ is a result: a run may be there as well, as its name is the user's choice."""
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
    """Raises the error unless a folder was deleted while others were read."""
    if not isinstance(error, FileNotFoundError):
        raise error
