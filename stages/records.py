"""Small JSON files that describe results, with their own checksum: a damaged one counts as missing."""

import hashlib
import json
from pathlib import Path

from stages.files import write_text


def write_record(path: Path, content: dict) -> None:
    write_text(path, json.dumps({**content, "checksum": _checksum(content)}, indent=1) + "\n")


def read_record(path: Path) -> dict | None:
    """Returns the content of a record, or None if it is missing or has changed since it was written."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        checksum = content.pop("checksum", None)
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        return None
    return content if checksum in (None, _checksum(content)) else None  # earlier versions wrote none


def _checksum(content: dict) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
