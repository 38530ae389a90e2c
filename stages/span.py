"""A time that is roughly known, as a least and a greatest number of seconds."""

from dataclasses import dataclass

# From this many seconds on, a time is given in this unit: (start, seconds in a unit, name).
UNITS = ((3 * 86400, 86400, "days"), (7200, 3600, "h"), (150, 60, "min"), (0, 1, "s"))


@dataclass(frozen=True)
class Span:
    """A range of seconds, from `least` to `most`."""

    least: float = 0
    most: float = 0

    def __add__(self, other: "Span") -> "Span":
        return Span(self.least + other.least, self.most + other.most)

    def __mul__(self, count: float) -> "Span":
        return Span(self.least * count, self.most * count)

    def __str__(self) -> str:
        """Returns "12 to 25 min", both numbers in the unit of the larger one, or "12 min" where they look the same."""
        unit, name = next((unit, name) for start, unit, name in UNITS if self.most >= start)
        least, most = (_number(seconds / unit, name) for seconds in (self.least, self.most))
        return f"{most} {name}" if least == most else f"{least} to {most} {name}"


NO_TIME = Span()


def _number(amount: float, unit: str) -> str:
    return f"{amount:.1f}" if unit in ("h", "days") and amount < 10 else f"{amount:.0f}"
