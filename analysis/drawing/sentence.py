"""Draws a sentence: its words in lines, the variables boxed and numbered, all other words grey."""

from dataclasses import dataclass
from functools import cached_property

from matplotlib.axes import Axes

from analysis.drawing.glyphs import drawable, families
from analysis.drawing.labels import distinct, filled, text_width, word_label

SIZE, NUMBER_SIZE = 12, 7.5  # points, like all lengths here
BLANK, PITCH = 10, 31  # between words, between lines
TOP = (0.5, 1)  # the block's top, as a share of the axes
LONGEST = 22  # letters of a word that are shown
BACKGROUND = "#6E6E6E"


@dataclass(frozen=True)
class Sentence:
    """A sentence to draw. words: all words and punctuation marks, in order; variables: each variable's position in
    `words`.

    Raises ValueError if a variable is not a position in the sentence, or if two are the same.
    """

    words: list[str]
    variables: list[int]

    def __post_init__(self):
        if len(set(self.variables) & set(range(len(self.words)))) < len(self.variables):
            raise ValueError(f"variables {self.variables} are not different positions among {len(self.words)} words")

    @property
    def n(self) -> int:
        return len(self.variables)

    @cached_property
    def shown(self) -> list[str]:
        """The words as they can be drawn, with long ones shortened."""
        words = map(drawable, self.words)
        return [word if len(word) <= LONGEST else word[: LONGEST - 1] + "…" for word in words]

    @cached_property
    def names(self) -> list[str]:
        """The words of the variables, with numbers where several variables have the same word."""
        return distinct([self.shown[position] for position in self.variables])

    def label(self, index: int) -> str:
        return word_label(index, self.names)

    def lines(self, width: float) -> list[list[int]]:
        """Returns the positions of the words on each line of this width."""
        return filled(self.shown, SIZE, width, BLANK)


def draw_sentence(axes: Axes, sentence: Sentence, width: float) -> None:
    """Draws lines of at most `width` as one centred block from the top of the axes down, whatever the axes' size."""
    axes.set_axis_off()
    lines = sentence.lines(width)
    steps = [text_width(word, SIZE) + BLANK for word in sentence.shown]
    start = -max(sum(steps[position] for position in line) for line in lines) / 2
    numbers = {position: number for number, position in enumerate(sentence.variables, start=1)}
    for row, line in enumerate(lines):
        left = start
        for position in line:
            middle = (left + steps[position] / 2, -PITCH * row - SIZE)
            _draw_word(axes, sentence.shown[position], middle, numbers.get(position))
            left += steps[position]


def _draw_word(axes: Axes, word: str, place: tuple[float, float], number: int | None) -> None:
    """Draws a word. number: that of the variable, None for other words."""
    style = {"xycoords": "axes fraction", "textcoords": "offset points", "ha": "center", "parse_math": False}
    box = {"boxstyle": "round,pad=0.22", "facecolor": "white", "edgecolor": "black", "linewidth": 1}
    marked = {"color": "black", "bbox": box} if number else {"color": BACKGROUND}
    font = {"fontsize": SIZE, "fontfamily": families(word)}
    axes.annotate(word, TOP, place, va="baseline", **font, **marked, **style)
    if number:
        below = (place[0], place[1] - 7)
        axes.annotate(str(number), TOP, below, va="top", fontsize=NUMBER_SIZE, fontweight="bold", **style)
