"""Copies a run with its results, to be moved to another machine: python -m stages.pack <run> <target>"""

import argparse
import json
import os
from pathlib import Path

from conf.errors import BadInput
from stages.checksums import lost
from stages.command import errors_in_one_line
from stages.copying import Copy, copy_file
from stages.files import write_text
from stages.inventory import Shown, shown
from stages.locks import locked
from stages.need import free_disk, gigabytes
from stages.progress import Bar
from stages.results import read_done
from stages.view import make_link, recorded

ABOUT = """Copies a run's folder (its tables, figures, report and configuration) together with the results that it shows
(weights, predictions, values) into a folder that can be moved to another machine. There, the command that made the run
finds everything complete with output=<that folder>. What is needed only while a study is running is left
out: optimizer states, half-written files, features kept for further probes."""

AGAIN = """Several runs may be packed into one folder: a result that they share is copied once. A copy that was
interrupted continues with the same command. Every file is compared with its checksum on the way."""


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser("python -m stages.pack", description=ABOUT, epilog=AGAIN)
    parser.add_argument("run", type=Path, help="a run's folder, as in outputs/digits/seed=0")
    parser.add_argument("target", type=Path, help="a new folder, or one that was packed before")
    parser.add_argument("--partial", action="store_true",
                        help="pack what is complete, where results have been deleted or are not finished")  # fmt: skip
    parser.add_argument("--wandb", action="store_true", help="also pack the run's offline W&B files")
    options = parser.parse_args(arguments)
    with errors_in_one_line():
        pack(options.run, options.target, options.partial, options.wandb)


def pack(run: Path, target: Path, partial: bool = False, wandb: bool = False) -> None:
    """Packs a run. Raises BadInput if the run lacks results (unless `partial`), if the target can't be used, if the
    disk is too small, and if files have changed since they were made."""
    run, target = Path(os.path.abspath(run)), Path(os.path.abspath(target))
    listed = _listed(run)
    outputs = _outputs(run, listed)
    _check_target(run, outputs, target)
    place = target / (run.relative_to(outputs) if run.is_relative_to(outputs) else run.name)
    copies = _copies(run, listed, place, target / "results")
    _check_lacking(run, listed, copies, partial)
    to_do = [copy for copy in copies.values() if copy.missing()]
    more = {file: place / file.relative_to(run) for file in _wandb_files(run)} if wandb else {}
    total = sum(size for copy in to_do for size, _ in copy.missing().values())
    total += sum(file.stat().st_size for file in more)
    _check_disk(total, len(copies), len(to_do), target)
    (target / "results").mkdir(parents=True, exist_ok=True)  # marks the folder as packed
    _copy(to_do, more, total)
    _show(run, place, {name: Shown(copy.target, listed[name].digest) for name, copy in copies.items()})
    print(f"packed: {place}; the run's command finds it with output={target}, or wherever that folder is moved to")


def _copy(to_do: list[Copy], more: dict[Path, Path], total: int) -> None:
    """Copies results and files. more: file -> its place in the pack; total: bytes."""
    with Bar(total=total, desc="pack", unit="B", unit_scale=True, mininterval=0.5, disable=not total) as bar:
        for copy in to_do:
            copy.make(bar)
        for file, place in more.items():
            copy_file(file, place, bar)


def _wandb_files(run: Path) -> list[Path]:
    """Returns the W&B files, without the links to the newest ones."""
    return [path for path in sorted((run / "wandb").rglob("*")) if path.is_file() and not path.is_symlink()]


def _listed(run: Path) -> dict[str, Shown]:
    if not (run / "results.json").is_file():
        raise BadInput(f"{run} is no run's folder, there is no results.json: give one, as in outputs/digits/seed=0")
    return shown(run)


def _outputs(run: Path, listed: dict[str, Shown]) -> Path:
    """Returns the outputs folder that holds the run's results: <outputs>/results/<name>/<folder>."""
    shared = [entry.folder for entry in listed.values() if not entry.folder.is_relative_to(run)]
    found = {next((place.parent for place in folder.parents if place.name == "results"), None) for folder in shared}
    if len(found) != 1 or None in found:
        raise BadInput(f"{run / 'results.json'} does not point into one folder of outputs: run that study again")
    return found.pop()


def _check_target(run: Path, outputs: Path, target: Path) -> None:
    if target.resolve() == outputs.resolve():
        raise BadInput(f"{target} is where the run lies: give another folder")
    for folder in (run, outputs / "results"):
        if target.resolve().is_relative_to(folder.resolve()):
            raise BadInput(f"{target} lies inside {folder}, which is packed: give a folder outside of it")
    if target.exists() and not target.is_dir():
        raise BadInput(f"{target} is a file: give a new folder")
    if target.exists() and any(target.iterdir()) and not (target / "results").is_dir():
        raise BadInput(f"{target} contains something else: give a new folder, or one packed before")


def _copies(run: Path, listed: dict[str, Shown], place: Path, results: Path) -> dict[str, Copy]:
    """Returns copies of the results that are complete."""
    copies = {}
    for name, entry in listed.items():
        if done := _complete(entry):
            folder, shared = entry.folder, not entry.folder.is_relative_to(run)
            to = results / name / folder.name if shared else place / folder.relative_to(run)
            copies[name] = Copy(folder, to, done, shared)
    return copies


def _complete(entry: Shown) -> dict | None:
    done = read_done(entry.folder)
    return done if done and done["digest"] == entry.digest and not lost(entry.folder, done["files"]) else None


def _check_lacking(run: Path, listed: dict[str, Shown], copies: dict[str, Copy], partial: bool) -> None:
    lacking = [
        f"{name} ({'not complete' if entry.folder.exists() else 'deleted'})"
        for name, entry in listed.items()
        if name not in copies
    ]
    if lacking and not (partial and copies):
        raise BadInput(
            f"{run} lacks {', '.join(lacking)}: run the study again, which makes them"
            + (", or pack what is complete with --partial" if copies else "")
        )
    if lacking:
        print(f"left out: {', '.join(lacking)}")


def _check_disk(total: int, count: int, to_do: int, target: Path) -> None:
    free, there = free_disk(target), f", {count - to_do} already exist" if count > to_do else ""
    print(f"{to_do} of {count} results are copied{there}: {gigabytes(total)}, {gigabytes(free)} are free", flush=True)
    if total > free:
        raise BadInput(
            f"{target} has {gigabytes(free)} free and the copy takes {gigabytes(total)}: give a folder on another disk"
        )


def _show(run: Path, place: Path, packed: dict[str, Shown]) -> None:
    """Writes the run's folder in the pack, together with what an earlier call has put there."""
    with locked(place / "results", guards=place):
        before = {name: entry for name, entry in recorded(place).items() if (place / entry["path"]).exists()}
        for name, entry in packed.items():
            if not entry.folder.is_relative_to(place):
                make_link(place / name, entry.folder)
        now = {
            name: {"path": os.path.relpath(entry.folder, place), "digest": entry.digest}
            for name, entry in packed.items()
        }
        for name in ("config.yaml", "chosen.json"):
            if (run / name).exists():  # earlier versions wrote no chosen.json
                write_text(place / name, (run / name).read_text(encoding="utf-8"))
        write_text(place / "results.json", json.dumps(before | now, indent=1) + "\n")


if __name__ == "__main__":
    main()
