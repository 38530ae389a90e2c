"""Names the subsets of variables beside their bars, and fills lines of a given width with words."""

from textwrap import wrap

import numpy as np
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path

from analysis.drawing.glyphs import drawable, families

LABEL_SIZE = 8.5  # points
NUMBERS_WIDTH = 26  # characters per line of a label of numbers, blanks counted
WORDS_WIDTH, WORDS_LINES = 130, 2  # points per line of a label of words, and lines that fit
SUBSCRIPT = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


def subset_label(index: int) -> str:
    """Returns the name of the subset with this bitmask: ∅, {1,4,7}, or, if long, {1–5,8,10–14} (11) with its size."""
    members = _members(index)
    plain = "{" + ", ".join(map(str, members)) + "}"
    if not members or len(plain) <= NUMBERS_WIDTH:
        return plain.replace(", ", ",") if members else "∅"
    text = "{" + ", ".join(_ranges(members)) + f"}} ({len(members)})"
    return "\n".join(wrap(text, NUMBERS_WIDTH)).replace(", ", ",")


def word_label(index: int, names: list[str]) -> str:
    """Returns the name of the subset with this bitmask from its words: ∅, {not, good}, or, if long, 8 words: 1–7,9."""
    members = _members(index)
    if not members:
        return "∅"
    words = [names[member - 1] for member in members]
    words[0] = "{" + words[0]
    words[-1] += "}"
    lines = _lines(words, " ")
    if len(lines) > WORDS_LINES or max(text_width(line, LABEL_SIZE) for line in lines) > WORDS_WIDTH:
        ranges = _ranges(members)
        ranges[0] = f"{len(members)} word{'s' * (len(members) > 1)}: {ranges[0]}"
        lines = _lines(ranges, "")
    return "\n".join(lines)


def _lines(parts: list[str], blank: str) -> list[str]:
    """Joins the parts with commas into lines; blank: what follows a comma within a line."""
    parts = [f"{part}," for part in parts[:-1]] + parts[-1:]
    lines = filled(parts, LABEL_SIZE, WORDS_WIDTH, text_width(blank, LABEL_SIZE))
    return [blank.join(parts[position] for position in line) for line in lines]


def distinct(words: list[str]) -> list[str]:
    """Adds subscripts to words that occur more than once, with their positions from 1: not, good₂, good₃."""
    return [
        word + str(number).translate(SUBSCRIPT) if words.count(word) > 1 else word
        for number, word in enumerate(words, start=1)
    ]


def filled(words: list[str], size: float, limit: float, blank: float) -> list[list[int]]:
    """Returns the positions of the words on each line of width `limit`. blank: space between words. In points."""
    lines, used = [], np.inf
    for position, word in enumerate(words):
        width = text_width(word, size)
        if used + blank + width > limit:
            lines.append([])
            used = -blank
        lines[-1].append(position)
        used += blank + width
    return lines


def text_width(text: str, size: float) -> float:
    """Returns the width of the `drawable` text in points, without mathtext."""
    shown = drawable(text)
    font = FontProperties(family=families(shown), size=size)
    return text_to_path.get_text_width_height_descent(shown, font, ismath=False)[0]


def _members(index: int) -> list[int]:
    """Returns the numbers of the variables in the subset, counted from 1."""
    return [bit + 1 for bit in range(index.bit_length()) if index >> bit & 1]


def _ranges(members: list[int]) -> list[str]:
    """Joins consecutive numbers: [1, 2, 3, 7, 8] -> ["1–3", "7", "8"]."""
    parts = []
    for run in np.split(members, np.flatnonzero(np.diff(members) > 1) + 1):
        parts += [f"{run[0]}–{run[-1]}"] if len(run) > 2 else [str(member) for member in run]
    return parts
