"""Ends an axis where it is still readable. Arrows at its end mark what lies beyond, and words below say how far.

One value of -40 presses curves between 0 and 1 flat, and a scale that is linear in its middle and logarithmic outside
is misread by most. So the axis stays linear, ends at a round number, and the note below it gives the number.
"""

from textwrap import fill

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.markers import CARETDOWN, CARETUP

from analysis.drawing.style import REFERENCE

FAR, BELOW = 10, 2  # times as far from 0 as the curves: on any side, and below it if most are above
NAMED = 4  # lines in a note
ARROWS = {-1: (CARETDOWN, "▼ below"), 1: (CARETUP, "▲ above")}


def drawn(same: list[Axes], references: bool) -> np.ndarray:
    """Returns the finite values of all curves, with or without those of references."""
    lines = [line for axes in same for line in axes.lines if references or line.get_gid() != REFERENCE]
    values = np.concatenate([np.asarray(line.get_ydata(), float) for line in lines] or [np.empty(0)])
    return values[np.isfinite(values)]


def without_far_ones(same: list[Axes], width: int) -> None:
    """Ends the axes of panels with one scale before references that are far from all curves, and before anything far
    below 0 where most values are above it, as R² of a bad fit may be. width: of the note below, in characters."""
    own, every = drawn(same, references=False), drawn(same, references=True)
    if not np.any(own):
        return
    high = own.max()
    low = -rounded(high) if np.median(own) > 0 and every.min() < -BELOW * high else -FAR * abs(own).max()
    near = every[(every >= low) & (every <= FAR * abs(own[own >= low]).max())]
    if len(near) < len(every):
        room = 0.05 * np.ptp(near)
        bottom = 0.0 if every.min() < 0 <= near.min() else max(near.min() - room, low)
        for axes in same:
            end(axes, bottom, near.max() + room, width)


def end(axes: Axes, low: float, high: float, width: int = 46) -> None:
    """Ends the axis at low and high: arrows mark points beyond, and a note below the axis says how far they reach."""
    notes = []
    for side, limit in ((-1, low), (1, high)):
        beyond = {}
        for line in [line for line in axes.lines if not line.get_label().startswith("_")]:  # runs have no names
            farthest, name = _mark(axes, line, side, limit), line.get_label()
            if farthest is not None:
                beyond[name] = side * max(side * farthest, side * beyond.get(name, farthest))
        if beyond:
            values = [f"{name} to {_plain(farthest)}" for name, farthest in beyond.items()]
            more = f" and {len(values) - NAMED} more" if len(values) > NAMED else ""
            notes.append(f"{ARROWS[side][1]} {_plain(limit)}: {', '.join(values[:NAMED])}{more}")
    axes.set_ylim(low, high)
    label = [axes.get_xlabel()] if axes.get_xlabel() else []
    axes.set_xlabel("\n".join(label + [fill(note, width, break_on_hyphens=False) for note in notes]))


def _plain(value: float) -> str:
    return f"{value:.3g}".replace("-", "−")


def _mark(axes: Axes, line: Line2D, side: int, limit: float) -> float | None:
    """Draws arrows at the axis' end for points of the line beyond it. Returns the farthest value, None if none is."""
    x, y = (np.asarray(data) for data in line.get_data())
    out = np.isfinite(y.astype(float)) & (side * y.astype(float) > side * limit)
    if not out.any():
        return None
    across = line.get_transform() != axes.transData  # a level across the whole panel
    x = [0.97] if across else x[out][:: 1 + out.sum() // 8]
    size, level = (9, 5) if line.get_gid() == REFERENCE else (6.5, 6)  # both are visible at one place
    axes.plot(x, np.full(len(x), limit), linestyle="", marker=ARROWS[side][0], color=line.get_color(), markersize=size,
              transform=line.get_transform(), clip_on=False, zorder=level)  # fmt: skip
    return float(y[out].min() if side < 0 else y[out].max())


def rounded(value: float) -> float:
    """Returns the next larger one of 1, 2, 5, 10, 20, ..., .5, .2, ..."""
    unit = 10.0 ** np.floor(np.log10(value))
    return float(next(step * unit for step in (1, 2, 5, 10) if step * unit >= 0.999 * value))
