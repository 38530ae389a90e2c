"""Names a sample's variables in words, and the members of a subset."""

from collections.abc import Sequence


def names_of(sample: dict, kind: str, size: Sequence[int], grid: int) -> list[str]:
    """Returns the names of a sample's variables: its words; or patch (row, column), both from 1.

    sample: as in samples.json; size: height and width of an image in pixels; grid: rows and columns that it is cut
    into.
    """
    if kind == "text":
        return [variable["word"] for variable in sample["variables"]]
    # A grid whose lines lie between pixels is rounded to them, by half a pixel at most: rounding finds the cell again.
    cells = [(round(top * grid / size[0]), round(left * grid / size[1])) for top, left, *_ in sample["variables"]]
    return [f"patch ({row + 1}, {column + 1})" for row, column in cells]


def members(subset: int) -> list[int]:
    """Returns the variables in a subset, in order: 5 -> [0, 2]."""
    return [variable for variable in range(subset.bit_length()) if subset >> variable & 1]
