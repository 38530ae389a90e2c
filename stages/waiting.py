"""Waits for other runs: says for which, for how long and how to stop, and gives up after the given time."""

from collections.abc import Callable, Iterator
from time import monotonic

from conf.errors import BadInput

MINUTE, TEN = 60, 600  # seconds: a line a minute at first, then one every ten


def turns(what: Callable[[], str], minutes: float | None) -> Iterator[float]:
    """Says in each turn what is waited for, and yields the seconds until the next turn. minutes: the limit; None for no
    limit.

    Raises BadInput when the time is over; a caller that gets what it waits for leaves the loop.
    """
    began, end = monotonic(), None if minutes is None else 60 * minutes
    while True:
        waited = monotonic() - began
        if end is not None and waited >= end:
            raise BadInput(
                f"waited {clock(waited)} for {what()}, and wait={minutes:g} allows no longer: start the same command "
                f"again later, or give more minutes with wait=..."
            )
        so_far = f", for {clock(waited)} so far" if waited >= 1 else ""
        print(f"waiting for {what()}{so_far}; Ctrl-C stops waiting", flush=True)
        pause = MINUTE if waited < TEN - 1 else TEN
        yield pause if end is None else min(pause, end - waited)


def clock(seconds: float) -> str:
    """Formats seconds as 0:07, 12:05 or 1:02:03."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
