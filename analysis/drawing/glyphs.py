"""Finds fonts that can draw a text. Words and class names may hold any character: emoji, Chinese, invisible ones.

Figures use one font. A character that it lacks is taken from another installed font; if none has it, ▯ replaces it.
Matplotlib itself would warn of each, and draw a box that is wider than a letter.
"""

import unicodedata
import warnings
from functools import cache

from matplotlib.font_manager import FontProperties, fontManager
from matplotlib.ft2font import FaceFlags, FT2Font
from matplotlib.textpath import text_to_path

from analysis.drawing.style import STYLE

OURS = STYLE["font.family"]
STAND_IN = "▯"


@cache
def drawable(text: str) -> str:
    """Returns the text on one line; ▯ replaces characters that no installed font has."""
    if _drawn(text, (OURS,)):
        return text
    shown = "".join(character if _family(character) else _stand_in(character) for character in text)
    if _drawn(shown, families(shown)):
        return shown
    # No font has a letter together with the marks on it.
    return "".join(character if _family(character) == OURS else _stand_in(character) for character in text)


@cache
def families(text: str) -> tuple[str, ...]:
    """Returns the fonts that draw a text of one or several lines, ours first. The text must be `drawable`."""
    line = text.replace("\n", " ")
    others = () if _drawn(line, (OURS,)) else {_family(character) for character in line} - {OURS, None}
    return OURS, *sorted(others)


@cache
def _drawn(text: str, fonts: tuple[str, ...]) -> bool:
    """Tells whether these fonts have the whole text, by Matplotlib's warnings: marks count with their letter."""
    with warnings.catch_warnings(record=True) as missing:
        warnings.simplefilter("always")
        try:
            text_to_path.get_text_width_height_descent(text, FontProperties(family=fonts), ismath=False)
        except (TypeError, ValueError):  # half a character, as in names of files that are not in UTF-8
            return False
    return not missing


@cache
def _family(character: str) -> str | None:
    """Returns the font that a character is taken from, or None if no installed font has it."""
    if _drawn(character, (OURS,)):
        return OURS
    other = _installed().get(ord(character))
    return other if other and _drawn(character, (OURS, other)) else None


@cache
def _installed() -> dict[int, str]:
    """Maps characters to upright fonts with outlines; sans-serif ones and regular weights come first."""
    found, seen = {}, {OURS}
    order = sorted(fontManager.ttflist, key=lambda font: ("Sans" not in font.name, font.name, abs(font.weight - 400)))
    for font in order:
        if font.style == "normal" and font.name not in seen and "Last Resort" not in font.name:  # a font of boxes
            seen.add(font.name)
            for code in _characters(font.fname):
                found.setdefault(code, font.name)
    return found


def _characters(file: str) -> list[int]:
    """Returns the characters of a font file: none of colour fonts, which Matplotlib can't draw; none for private
    use, as they differ between fonts; no control characters, as they are empty."""
    try:
        font = FT2Font(file)
        outlines = FaceFlags.SCALABLE in font.face_flags and FaceFlags.COLOR not in font.face_flags
        codes = font.get_charmap() if outlines else ()
    except (OSError, RuntimeError):  # deleted since Matplotlib listed it, or damaged
        return []
    return [code for code in codes if unicodedata.category(chr(code)) not in ("Cc", "Co")]


def _stand_in(character: str) -> str:
    """Returns ▯, a blank for white space, and nothing for marks on a letter and invisible characters."""
    if character.isspace():
        return " "
    kind = unicodedata.category(character)
    return "" if kind == "Cf" or kind.startswith("M") else STAND_IN
