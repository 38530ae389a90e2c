"""Results on disk: which are complete, and why one must be made.

<result>/config.yaml   what decided it
<result>/inputs.json   what it is made from: digests, and the hashes of those files when it was begun
<result>/tracked.json  how often it was made, and what mirrors it (stages/attempts.py), if anything does
<result>/done.json     written last: the result is complete; which files it has (bytes and sha256), when it was
                       finished, by which versions on which machine

A result is complete if its files exist with their recorded sizes, with all epochs that are asked for, and if its
inputs have not changed. For example, a pre-training is deleted and made again: if the new weights equal the old
ones, bit by bit, the fine-tuning stays; otherwise it is made again as well. The content of files is compared when
they are read (stages/reading.py), so that a result with gigabytes of weights is known as complete at once.
"""

import os
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from omegaconf import OmegaConf

from stages import attempts
from stages.checksums import SHARDS, TRACKED, WORDS, damaged, listed, lost, own_files
from stages.files import is_temporary, remove, write_text
from stages.identity import Result
from stages.locks import check_held
from stages.processes import is_first_process
from stages.records import read_record, write_record
from stages.versions import about


@dataclass(frozen=True)
class State:
    """The state of a result on disk. why: says in a few words why it is not complete, if that is known."""

    complete: bool
    begun: bool = False
    why: str = ""


def state(result: Result) -> State:
    begun = (result.folder / "config.yaml").exists()
    done = read_done(result.folder)
    if done is None:
        return State(False, begun, f"{file} is damaged" if (file := result.folder / "done.json").exists() else "")
    if done["digest"] != result.digest:  # a run's own folder holds one result, of any settings
        return State(False, False, "it was made with other settings, or from other results")
    if gone := lost(result.folder, done["files"]):
        return State(
            False, begun, f"{_some(gone)} in {result.folder} {'are' if len(gone) > 1 else 'is'} missing or changed"
        )
    kept = epochs_kept(result.folder)
    if missing := [epoch for epoch in epochs_of(result) if epoch not in kept]:
        which = f"epoch{'s' * (len(missing) > 1)} {_some(list(map(str, missing)))}"
        return State(False, begun, f"{which} {'were' if len(missing) > 1 else 'was'} not kept")
    if why := _other_parts(result.parts, done.get("parts", {})):
        return State(False, begun, why)
    if why := _other_inputs(result):
        return State(False, begun, why)
    return State(True, begun)


def _other_parts(asked: dict[str, str], there: dict[str, str]) -> str:
    """Says why the existing parts differ from those that are asked for, in their order; returns "" if they do not."""
    if missing := [name for name in asked if name not in there]:
        return f"{_some(missing)} {'have' if len(missing) > 1 else 'has'} not been computed yet"
    if changed := [name for name, digest in asked.items() if there[name] != digest]:
        return f"the code of {_some(changed)} has changed"
    return "" if not asked or list(asked) == list(there) else f"it shows {_some(list(there))}"


def is_complete(result: Result) -> bool:
    return state(result).complete


def read_done(folder: Path) -> dict | None:
    """Returns the content of done.json, or None if it is missing or can't be read."""
    done = read_record(folder / "done.json")
    return done if done and {"digest", "files"} <= done.keys() else None


def kept(asked: str | tuple[int, ...] | list[int], last: int) -> set[int]:
    """Returns the epochs to keep out of 0..last: all of them, or those asked for and the last one."""
    return set(range(last + 1)) if asked == "all" else {epoch for epoch in asked if epoch <= last} | {last}


def last_epoch(result: Result) -> int:
    """Returns the last epoch of a series of checkpoints: as trained if the training has ended, otherwise as planned."""
    trained = [read for name, read in result.inputs.items() if result.name.endswith(f"/{name}")]
    done = read_done((trained or [result])[0].folder) or {}
    return done.get("last", result.planned)


def epochs_of(result: Result) -> list[int]:
    """Returns the epochs that are asked for, in order; the list is empty for a result without epochs."""
    if result.asked is None:
        return []
    if "/" in result.name and not any(result.name.endswith(f"/{name}") for name in result.inputs):
        return sorted(result.asked)  # external files
    return sorted(kept(result.asked, last_epoch(result)))


def epochs_kept(folder: Path) -> list[int]:
    """Returns the epochs that have weights, or values, in order."""
    files = [*(folder / "checkpoints").glob("epoch_*.pt"), *folder.glob("epoch_*/meta.json")]
    names = (file.parent.name if file.name == "meta.json" else file.stem for file in files)
    return sorted(int(name.removeprefix("epoch_")) for name in names)


def start(result: Result) -> Path:
    """Prepares the result's folder for work, writes down what decides it, and returns it.

    Existing content stays, so that work can continue, unless it is half-written, has changed, or was made from
    results that have been made again.
    """
    if not is_first_process():
        return result.folder
    check_held(result.folder)
    done = read_done(result.folder)
    if result.folder.exists() and (_other_inputs(result) or (done and done["digest"] != result.digest)):
        _clear(result.folder)
    result.folder.mkdir(parents=True, exist_ok=True)
    for file in damaged(result.folder, done and done["files"]):
        print(f"{file} is damaged: it was removed and is made again", flush=True)
        remove(file)
    if done and not result.parts:  # it is made again
        attempts.end(result.folder)
    for file in filter(is_temporary, own_files(result.folder)):
        remove(file)
    remove(result.folder / "done.json")
    before = read_record(result.folder / "inputs.json") or {}  # an analysis keeps measures of inputs not asked for now
    write_record(result.folder / "inputs.json", before | _inputs(result))
    _write_settings(result)
    return result.folder


def begin_share(result: Result) -> None:
    """Prepares the result's folder for a share of the work, which holds no lock: whatever is there stays."""
    result.folder.mkdir(parents=True, exist_ok=True)
    with suppress(FileNotFoundError):  # a run that holds the lock begins it just now
        if not {path.name for path in result.folder.iterdir() if not is_temporary(path)} - {SHARDS, "config.yaml"}:
            write_record(result.folder / "inputs.json", _inputs(result))
        if not (result.folder / "config.yaml").exists():
            _write_settings(result)


def has_these_inputs(result: Result) -> bool:
    """Tells whether what is in the result's folder was made from the inputs as they are now."""
    return (result.folder / "inputs.json").exists() and not _other_inputs(result)


def _clear(folder: Path) -> None:
    """Removes a result, except what other jobs are writing, which tells by itself what it was made from."""
    for path in folder.iterdir():
        if path.name not in (SHARDS, TRACKED):
            remove(path)
    attempts.end(folder)


def _write_settings(result: Result) -> None:
    write_text(result.folder / "config.yaml", OmegaConf.to_yaml(OmegaConf.create(nested(result.decided()))))


def finish(result: Result, **facts: object) -> None:
    """Marks the result as complete."""
    if not is_first_process():
        return
    check_held(result.folder)
    done = {
        "finished": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "digest": result.digest,
        **about(),
        **({"parts": result.parts} if result.parts else {}),
        **facts,
        "files": listed(result.folder),
    }
    write_record(result.folder / "done.json", done)


def nested(settings: dict[str, object]) -> dict:
    """Nests the settings: {"a.b": 1} -> {"a": {"b": 1}}."""
    found: dict = {}
    for path, value in sorted(settings.items()):
        *parents, last = path.split(".")
        node = found
        for parent in parents:
            node = node.setdefault(parent, {})
        node[last] = value
    return found


def _inputs(result: Result) -> dict[str, dict]:
    """Returns what tells whether an input is still the same: its digest, and the hashes of its files."""
    return {
        name: {"path": os.path.relpath(read.folder, result.folder), "digest": read.digest, "files": hashes(read.folder)}
        for name, read in result.inputs.items()
    }


def _other_inputs(result: Result) -> str:
    """Says which inputs of the result have been made again since; returns "" if none has."""
    if result.inputs and read_record(file := result.folder / "inputs.json") is None:
        return f"{file} is damaged" if file.exists() else f"{file} is missing"
    other = _made_again(result)
    return f"{_some(other)} {'have' if len(other) > 1 else 'has'} been made again" if other else ""


def _made_again(result: Result) -> list[str]:
    """Returns the inputs that have a changed file, or will have one, since they are to be made again themselves. An
    input that was deleted, or that has more epochs now, counts as the same."""
    recorded, other = read_record(result.folder / "inputs.json") or {}, []
    for name, read in result.inputs.items():
        before, now = recorded.get(name, {}).get("files", {}), hashes(read.folder)
        changed = any(now.get(file, sha256) != sha256 for file, sha256 in before.items())
        if changed or (now and _made_again(read)):
            other.append(name)
    return other


def hashes(folder: Path) -> dict[str, str]:
    """Returns the hashes of a complete result's files, without those that only describe how it was made."""
    done = read_done(folder) or {"files": {}}
    return {name: sha256 for name, (_, sha256) in done["files"].items() if Path(name).name not in WORDS}


def _some(names: list[str]) -> str:
    """Lists the first three names."""
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
