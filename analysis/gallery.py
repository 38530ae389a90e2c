"""One sample at a time: the input with its variables, and each model's strongest interactions beside it."""

from dataclasses import dataclass
from textwrap import wrap

import numpy as np
from matplotlib import patheffects, rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from analysis.drawing import NAMES, STYLE

POSITIVE, NEGATIVE = "#1B9AAA", "#B2366B"  # apart from the colours of models and of kinds of knowledge
LABEL_WIDTH = 26  # characters per line of a subset's label, blanks counted


@dataclass(frozen=True)
class Card:
    """A sample to draw. Bit i of an index of I is variable i, which is drawn as number i + 1.

    picture: [H, W, 3] uint8; boxes: (top, left, height, width) in pixels, one per variable;
    interactions: model -> I [2**n]; values: model -> v of the untouched input (log-odds of the true class).
    """

    title: str
    picture: np.ndarray
    boxes: list[tuple[int, int, int, int]]
    interactions: dict[str, np.ndarray]
    values: dict[str, float]

    def __post_init__(self):
        for model, interactions in self.interactions.items():
            if np.shape(interactions) != (2 ** len(self.boxes),):
                raise ValueError(
                    f"{model}: interactions of {len(self.boxes)} variables have shape "
                    f"[{2 ** len(self.boxes)}], not {list(np.shape(interactions))}"
                )


@rc_context(STYLE)
def draw(card: Card, strongest: int = 8, tau: float = 0.05, unit: str = "log-odds") -> Figure:
    """The picture, then a panel per model with its `strongest` largest |I(S)| as signed bars.

    tau: the salience threshold as a share of the largest |I(S)| of the model, drawn as dotted lines; unit: of I.
    """
    models = [name for name in NAMES if name in card.interactions]
    height = max(3.6, 1.3 + 0.42 * strongest)
    figure = Figure(figsize=(3.7 + 3.2 * len(models), height), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.08, h_pad=0.07)
    figure.suptitle("\n".join(wrap(card.title, 100)))
    first, *panels = figure.subplots(1, 1 + len(models), width_ratios=[1.3] + [1] * len(models))
    draw_picture(first, card)
    for axes, model in zip(panels, models, strict=True):
        _draw_interactions(axes, card.interactions[model], strongest, tau)
        axes.set_xlabel(f"I(S) ({unit}); dotted: ±τ")
        axes.set_title(f"{NAMES[model]}\nv(x) = {_signed(card.values[model], 3)}", fontsize=10.5)
    _share_scale(panels)
    return figure


def draw_picture(axes: Axes, card: Card) -> None:
    """The input: every variable outlined and numbered, white on black so that it is seen on any pixel."""
    axes.imshow(card.picture, interpolation="nearest")
    smallest = min(min(height, width) for _, _, height, width in card.boxes)
    size = np.clip(110 * smallest / max(card.picture.shape[:2]), 6.5, 12)
    outline = [patheffects.withStroke(linewidth=2.5, foreground="black")]
    for number, (top, left, height, width) in enumerate(card.boxes, start=1):
        gap = 0.03 * min(height, width)  # keeps the outlines of neighbours apart
        corner = (left - 0.5 + gap, top - 0.5 + gap)  # pixel centres lie on whole numbers
        for colour, line in (("black", 2.6), ("white", 1.0)):
            style = {"fill": False, "edgecolor": colour, "linewidth": line}
            axes.add_patch(Rectangle(corner, width - 2 * gap, height - 2 * gap, **style))
        middle = (left + (width - 1) / 2, top + (height - 1) / 2)
        style = {"color": "white", "fontsize": size, "fontweight": "bold", "path_effects": outline}
        axes.annotate(str(number), middle, ha="center", va="center", **style)
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set(visible=True, color="#8A8A8A")  # where a white picture ends


def _draw_interactions(axes: Axes, interactions: np.ndarray, strongest: int, tau: float) -> None:
    """Bars from the largest |I(S)| down, with I printed at their ends."""
    chosen = np.argsort(-np.abs(interactions), kind="stable")[:strongest]
    values = interactions[chosen]
    rows = np.arange(len(chosen))
    bars = axes.barh(rows, values, 0.62, color=np.where(values < 0, NEGATIVE, POSITIVE))
    for row, bar, value in zip(rows, bars, values, strict=True):
        bar.set_hatch("////" if value < 0 else "")
        bar.set_edgecolor("white")
        side, align = (-4, "right") if value < 0 else (4, "left")
        place = {"xytext": (side, 0), "textcoords": "offset points", "ha": align, "va": "center"}
        axes.annotate(_signed(value, 2), (value, row), **place, fontsize=8.5)
    threshold = tau * np.abs(interactions).max()
    for side in (-threshold, threshold):
        axes.axvline(side, color="#8A8A8A", linestyle=":", linewidth=1)
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set_yticks(rows, [subset_label(int(index)) for index in chosen], fontsize=8.5)
    axes.tick_params(axis="y", length=0)
    axes.invert_yaxis()


def _share_scale(panels: list[Axes]) -> None:
    """One x scale for all models, with room for the numbers at the bars' ends."""
    ends = [bar.get_width() for axes in panels for bar in axes.containers[0]]
    low, high = min(0, *ends), max(0, *ends)
    room = 0.36 * (high - low) or 1.0
    for axes in panels:
        axes.set_xlim(low - room, high + room)


def subset_label(index: int) -> str:
    """Name of the subset with this bitmask: ∅, {1,4,7}, or, where long, {1–5,8,10–14} (11) with its size."""
    members = [bit + 1 for bit in range(index.bit_length()) if index >> bit & 1]
    plain = "{" + ", ".join(map(str, members)) + "}"
    if not members or len(plain) <= LABEL_WIDTH:
        return plain.replace(", ", ",") if members else "∅"
    parts = []
    for run in np.split(members, np.flatnonzero(np.diff(members) > 1) + 1):
        parts += [f"{run[0]}–{run[-1]}"] if len(run) > 2 else [str(member) for member in run]
    text = "{" + ", ".join(parts) + f"}} ({len(members)})"
    return "\n".join(wrap(text, LABEL_WIDTH)).replace(", ", ",")


def _signed(value: float, digits: int) -> str:
    return f"{value:+#.{digits}g}".rstrip(".").replace("-", "−")
