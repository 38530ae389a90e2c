"""Lists results that no run shows, and deletes them on request: python -m stages.unused [outputs] [--delete]

It spares results that a run works on, those changed within a day (their run may show them only later), and all
results that these and the shown ones were made from: to go on, they would have to be made again.
"""

import argparse
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from conf.errors import BadInput
from stages import inventory
from stages.command import errors_in_one_line
from stages.files import beside, remove, replace
from stages.locks import forget, is_held, locked
from stages.need import gigabytes

DAY = 24 * 60 * 60  # seconds

ABOUT = """Lists the results that no run shows, the largest first. All runs share the results in <outputs>/results, and
each run's folder shows those that it needs (results.json there says which). After other settings were tried and their
runs' folders deleted, results remain that no run shows."""

SPARED = """Never listed: results that a run works on at this moment, or worked on within a day, and the results that
these or the shown ones were made from. Only runs within <outputs> are known: a result that only a run in another
place (run_dir=...) shows is listed, too. What was deleted is made again when a study needs it."""


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser("python -m stages.unused", description=ABOUT, epilog=SPARED)
    parser.add_argument("outputs", nargs="?", default="outputs", type=Path,
                        help="the folder that runs were written to, output=... (default: outputs)")  # fmt: skip
    parser.add_argument("--delete", action="store_true",
                        help="delete what is listed; without it nothing is changed")  # fmt: skip
    options = parser.parse_args(arguments)
    with errors_in_one_line():
        _check(options.outputs)
        _report(options.outputs, options.delete)


def unused(outputs: Path) -> dict[Path, int]:
    """Returns the folders of the results that no run needs -> their bytes, the largest first."""
    needed = _needed(outputs)
    others = [folder for folder in inventory.results(outputs) if folder not in needed]
    in_use = [folder for folder in others if _is_young(folder) or is_held(folder)]
    spared = inventory.with_origins(outputs, in_use)
    sizes = {folder: sum(status.st_size for status in _files(folder)) for folder in others if folder not in spared}
    return dict(sorted(sizes.items(), key=lambda one: -one[1]))


def delete(outputs: Path, folder: Path) -> bool:
    """Deletes a result and returns whether it did: it keeps a result that is in use by now."""
    with locked(folder, wait=False) as got:
        if not got or _is_young(folder) or folder in _needed(outputs):
            return False
        # If this is killed at any moment, nothing that it leaves looks like a result.
        remove(folder / "done.json")
        gone = beside(folder)
        replace(folder, gone)
        remove(gone)
        forget(folder)
    return True


def _check(outputs: Path) -> None:
    if not (outputs / "results").is_dir():
        raise BadInput(
            f"{outputs / 'results'} was not found, so {outputs} is not a folder of outputs: give the one that runs "
            f"were written to (output=...)"
        )


def _report(outputs: Path, to_delete: bool) -> None:
    found, every, runs = unused(outputs), inventory.results(outputs), list(inventory.runs(outputs))
    for folder, size in found.items():
        print(f"{gigabytes(size):>10}  {_place(outputs, folder)}")
    print(
        f"{gigabytes(sum(found.values())):>10}  in {len(found)} of {_count(every, 'result')} that no run shows; "
        f"{_count(runs, 'run')} in {outputs}",
        flush=True,
    )
    if not found:
        print("there is nothing to delete")
    elif not to_delete:
        print("nothing was deleted; --delete deletes them")
    else:
        print(f"{gigabytes(_delete_all(outputs, found)):>10}  deleted")


def _delete_all(outputs: Path, found: dict[Path, int]) -> int:
    """Deletes the results that were found. Returns the bytes that were freed."""
    freed = 0
    for folder, size in found.items():
        if delete(outputs, folder):
            freed += size
        else:
            print(f"kept, since a run uses it now: {_place(outputs, folder)}", flush=True)
    return freed


def _count(things: list, what: str) -> str:
    return f"{len(things)} {what}{'s' * (len(things) != 1)}"


def _place(outputs: Path, folder: Path) -> Path:
    """Returns the path as the user would write it."""
    return outputs / "results" / folder.relative_to((outputs / "results").resolve())


def _needed(outputs: Path) -> set[Path]:
    return inventory.with_origins(outputs, inventory.shown_by(outputs, inventory.runs(outputs)))


def _is_young(folder: Path) -> bool:
    """Tells whether the folder or a file in it changed within a day. A folder that no longer exists counts as young,
    as it need not be deleted."""
    with suppress(FileNotFoundError):
        newest = max([folder.stat().st_mtime, *(status.st_mtime for status in _files(folder))])
        return time.time() - newest < DAY
    return True


def _files(folder: Path) -> Iterator[os.stat_result]:
    """Yields the status of each file, without files that disappeared meanwhile."""
    for place, _, names in os.walk(folder):
        for name in names:
            with suppress(FileNotFoundError):
                yield os.lstat(os.path.join(place, name))


if __name__ == "__main__":
    main()
