"""Checks whether a summary of exactly these runs exists: then a sweep whose runs are all complete writes nothing.

summary/made_from.json is written last: a digest of all that the summary is made from, and its files with their
sizes.
"""

import hashlib
import json
from pathlib import Path

from analysis.runs.found import Run
from stages.checksums import listed, lost
from stages.files import remove
from stages.records import read_record, write_record
from stages.versions import version_line

RECORD = "made_from.json"


def digest_of(runs: list[Run], left_out: dict[Path, str]) -> str:
    """Returns a digest of the runs, their analyses and settings, and this program."""
    used = [[str(run.folder), run.digest, run.finished, run.settings, run.seeds, run.chosen] for run in runs]
    told = [version_line(), used, {str(folder): why for folder, why in left_out.items()}]
    return hashlib.sha256(json.dumps(told, sort_keys=True, default=str).encode()).hexdigest()


def is_made(folder: Path, digest: str) -> bool:
    record = read_record(folder / RECORD) or {}
    return record.get("digest") == digest and not lost(folder, record["files"])


def begin(folder: Path) -> int:
    """Removes the record. Returns the number of runs in the previous summary, 0 without one."""
    before = (read_record(folder / RECORD) or {}).get("runs", 0)
    remove(folder / RECORD)
    return before


def end(folder: Path, digest: str, runs: int) -> None:
    write_record(folder / RECORD, {"digest": digest, "runs": runs, "files": listed(folder)})
