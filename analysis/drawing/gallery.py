"""Draws one sample: the input with its variables, and each model's strongest interactions beside or below it."""

from collections.abc import Callable
from dataclasses import dataclass
from textwrap import wrap

import numpy as np
from matplotlib import patheffects, rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from analysis.drawing.glyphs import drawable, families
from analysis.drawing.labels import LABEL_SIZE, subset_label
from analysis.drawing.sentence import PITCH, Sentence, draw_sentence
from analysis.drawing.style import NAMES, STYLE

POSITIVE, NEGATIVE = "#1B9AAA", "#B2366B"  # differ from the colours of models and kinds of knowledge


@dataclass(frozen=True)
class Picture:
    """A picture. pixels: [H, W, 3] uint8; boxes: (top, left, height, width) in pixels, one per variable."""

    pixels: np.ndarray
    boxes: list[tuple[int, int, int, int]]

    @property
    def n(self) -> int:
        return len(self.boxes)

    def label(self, index: int) -> str:
        return subset_label(index)


@dataclass(frozen=True)
class Card:
    """A sample to draw. Bit i of an index of I is variable i, which is drawn as number i + 1.

    interactions: model -> I [2**n]; values: model -> v of the untouched input (log-odds of the true class).
    """

    title: str
    shown: Picture | Sentence
    interactions: dict[str, np.ndarray]
    values: dict[str, float]

    def __post_init__(self):
        n = self.shown.n
        for model, interactions in self.interactions.items():
            if np.shape(interactions) != (2**n,):
                raise ValueError(
                    f"{model}: interactions of {n} variables have shape [{2**n}], not {list(np.shape(interactions))}"
                )


@rc_context(STYLE)
def draw(card: Card, strongest: int = 8, tau: float = 0.05, unit: str = "log-odds") -> Figure:
    """Draws the input, then a panel per model with its `strongest` largest |I(S)| as signed bars.

    tau: the salience threshold as a share of the largest |I(S)| of the model, drawn as dotted lines; unit: of I.
    """
    models = [name for name in NAMES if name in card.interactions]
    height = max(3.6, 1.3 + 0.42 * strongest)
    place = _below_sentence if isinstance(card.shown, Sentence) else _beside_picture
    figure, panels = place(card.shown, len(models), height)
    title = "\n".join(wrap(drawable(card.title), 100))
    # At the left, where it is seen on a narrow screen that shows a part of the card.
    figure.suptitle(title, x=0.01, ha="left", fontfamily=families(title), parse_math=False)
    for axes, model in zip(panels, models, strict=True):
        _draw_interactions(axes, card.interactions[model], card.shown.label, strongest, tau)
        axes.set_xlabel(f"I(S) ({unit}); dotted: ±τ")
        axes.set_title(f"{NAMES[model]}\nv(x) = {_signed(card.values[model], 3)}", fontsize=10.5)
    _share_scale(panels)
    return figure


def _beside_picture(picture: Picture, count: int, height: float) -> tuple[Figure, list[Axes]]:
    """Returns a figure with the picture, and `count` panels to its right."""
    figure = _figure(3.7 + 3.2 * count, height)
    first, *panels = figure.subplots(1, 1 + count, width_ratios=[1.3] + [1] * count)
    draw_picture(first, picture)
    return figure, panels


def _below_sentence(sentence: Sentence, count: int, height: float) -> tuple[Figure, list[Axes]]:
    """Returns a figure with the sentence, and `count` panels below its lines."""
    width = max(8.0, 4.4 * count)
    line_width = 72 * (width - 0.5)
    room = PITCH * len(sentence.lines(line_width)) / 72
    figure = _figure(width, height + room)
    above, below = figure.subfigures(2, 1, height_ratios=[room, height - 0.35])  # 0.35 is for the title
    draw_sentence(above.subplots(), sentence, line_width)
    return figure, list(below.subplots(1, count, squeeze=False)[0])


def _figure(width: float, height: float) -> Figure:
    figure = Figure(figsize=(width, height), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.08, h_pad=0.07)
    return figure


def draw_picture(axes: Axes, picture: Picture) -> None:
    """Draws the input: every variable is outlined and numbered, white on black so that it is visible on any pixel."""
    axes.imshow(picture.pixels, interpolation="nearest")
    smallest = min(min(height, width) for _, _, height, width in picture.boxes)
    size = np.clip(110 * smallest / max(picture.pixels.shape[:2]), 6.5, 12)
    outline = [patheffects.withStroke(linewidth=2.5, foreground="black")]
    for number, (top, left, height, width) in enumerate(picture.boxes, start=1):
        gap = 0.03 * min(height, width)  # keeps the outlines of neighbours apart
        corner = (left - 0.5 + gap, top - 0.5 + gap)  # pixel centres are whole numbers
        for colour, line in (("black", 2.6), ("white", 1.0)):
            style = {"fill": False, "edgecolor": colour, "linewidth": line}
            axes.add_patch(Rectangle(corner, width - 2 * gap, height - 2 * gap, **style))
        middle = (left + (width - 1) / 2, top + (height - 1) / 2)
        style = {"color": "white", "fontsize": size, "fontweight": "bold", "path_effects": outline}
        axes.annotate(str(number), middle, ha="center", va="center", **style)
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set(visible=True, color="#8A8A8A")  # shows where a white picture ends


def _draw_interactions(
    axes: Axes, interactions: np.ndarray, label: Callable[[int], str], strongest: int, tau: float
) -> None:
    """Draws bars from the largest |I(S)| down, with I printed at their ends."""
    chosen = np.argsort(-np.abs(interactions), kind="stable")[:strongest]
    values = interactions[chosen]
    rows = np.arange(len(chosen))
    bars = axes.barh(rows, values, 0.62, color=np.where(values < 0, NEGATIVE, POSITIVE))
    for row, bar, value in zip(rows, bars, values, strict=True):
        bar.set_hatch("////" if value < 0 else "")
        bar.set_edgecolor("white")
        side, align = (-4, "right") if value < 0 else (4, "left")
        place = {"xytext": (side, 0), "textcoords": "offset points", "ha": align, "va": "center"}
        axes.annotate(_signed(value, 2), (value, row), **place, fontsize=LABEL_SIZE)
    threshold = tau * np.abs(interactions).max()
    for side in (-threshold, threshold):
        axes.axvline(side, color="#8A8A8A", linestyle=":", linewidth=1)
    axes.axvline(0, color="black", linewidth=0.8)
    names = [label(int(index)) for index in chosen]
    axes.set_yticks(rows, names, fontsize=LABEL_SIZE, fontfamily=families("\n".join(names)), parse_math=False)
    axes.tick_params(axis="y", length=0)
    axes.invert_yaxis()


def _share_scale(panels: list[Axes]) -> None:
    """Gives all models the same x scale, with room for the numbers at the bars' ends."""
    ends = [bar.get_width() for axes in panels for bar in axes.containers[0]]
    low, high = min(0, *ends), max(0, *ends)
    room = 0.36 * (high - low) or 1.0
    for axes in panels:
        axes.set_xlim(low - room, high + room)


def _signed(value: float, digits: int) -> str:
    text = f"{value:+#.{digits}g}".rstrip(".")
    if "e" in text and 1 <= abs(value) < 1e6:  # 150 is easier to read, and narrower, than 1.5e+02
        text = f"{value:+.0f}"
    return text.replace("-", "−")
