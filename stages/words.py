"""Reads the words of a command such as python -m interactions.export run=outputs/digits/seed=0 to=xarray."""

from collections.abc import Collection, Sequence
from difflib import get_close_matches

from conf.errors import BadInput

HELP = {"-h", "--help"}


def given(words: Sequence[str], keys: Collection[str], needed: Collection[str] = ()) -> dict[str, str]:
    """Returns {"run": "outputs/digits/seed=0", "to": "xarray"}. keys: all that are allowed; needed: those of them that
    must be there. Raises BadInput."""
    found: dict[str, str] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or key not in keys:
            near = get_close_matches(key, keys, 1)
            meant = f"; did you mean {near[0]}=...?" if near else ""
            raise BadInput(f"{word} is not known: {', '.join(f'{name}=...' for name in keys)} are{meant}")
        if key in found:
            raise BadInput(f"{key}=... is given twice: {found[key]} and {value}")
        found[key] = value
    if missing := [key for key in needed if not found.get(key)]:
        raise BadInput(f"{missing[0]}=... is missing")
    return found
