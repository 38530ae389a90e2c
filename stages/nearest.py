"""Says why a result must be made although its stage has others: how it differs from the nearest of them."""

import os
from pathlib import Path

from omegaconf import OmegaConf
from yaml import YAMLError

from stages.canonical import plain
from stages.identity import Result
from stages.settings import by_path

SHOWN, LOOKED_AT = 3, 50  # differences; results, the newest ones


def difference(result: Result) -> str:
    """Returns "differs from <result> in lr: 0.001 -> 0.003", or "" if its stage has no other result."""
    others = [(folder, _differing(_settings(folder), result.decided())) for folder in _others(result)]
    if not others:
        return ""
    folder, keys = min(others, key=lambda other: len(other[1]))
    there, asked = _settings(folder), result.decided()
    listed = [f"{key}: {_shown(there, key)} -> {_shown(asked, key)}" for key in keys[:SHOWN]]
    more = f" and {len(keys) - SHOWN} more" if len(keys) > SHOWN else ""
    return f"differs from {folder} in {', '.join(listed)}{more}"


def _others(result: Result) -> list[Path]:
    folders = [file.parent for file in result.folder.parent.glob("*/config.yaml") if file.parent != result.folder]
    return sorted(folders, key=os.path.getmtime, reverse=True)[:LOOKED_AT]


def _settings(folder: Path) -> dict[str, object]:
    """Returns the settings by path, as `Result.decided` gives them."""
    try:
        return by_path("", plain(OmegaConf.load(folder / "config.yaml")))
    except (OSError, ValueError, YAMLError):
        return {}


def _differing(there: dict[str, object], asked: dict[str, object]) -> list[str]:
    absent = object()
    return [key for key in sorted(there | asked) if there.get(key, absent) != asked.get(key, absent)]


def _shown(settings: dict[str, object], key: str) -> str:
    return str(settings[key]) if key in settings else "absent"
