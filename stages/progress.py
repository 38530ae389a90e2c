"""Shows the progress of long work: with a bar on a terminal, otherwise with lines.

A bar is redrawn in one line again and again, which in a file (a log, the output that a scheduler keeps) adds up to
thousands of fragments. So if stderr is not a terminal, lines are printed instead: one whenever the work reaches a
milestone, such as the end of an epoch, otherwise one a minute. Work that ends within a minute prints none.

    finetune: epoch 3/20, test accuracy 0.812, 1:20 left
    interactions/finetune: sample 120 of 420, epoch 4, 12:05 left
"""

import math
import os
import sys
from time import monotonic

from tqdm import tqdm

from stages.need import gigabytes
from stages.processes import is_first_process
from stages.waiting import clock

EVERY = 60  # seconds from one line to the next
# The download bars of a hub's libraries can't print lines, so they are off. Read when these are imported.
for switch in () if sys.stderr.isatty() else ("HF_HUB_DISABLE_PROGRESS_BARS", "HF_DATASETS_DISABLE_PROGRESS_BARS"):
    os.environ.setdefault(switch, "1")

_silent = False
_run = ""


def silence() -> None:
    """Shows no bars in this process from now on: another process shows the progress of all of them."""
    global _silent
    _silent = True


def called(run: str) -> None:
    """Puts the name of the run before the lines of this process: the logs of many jobs are read together."""
    global _run
    _run = f"{run} "


class Bar(tqdm):
    """A bar like tqdm's, shown only by the first process. every: seconds between lines."""

    def __init__(self, *args: object, every: float = EVERY, disable: bool = False, **options: object) -> None:
        self.lines, self.every = not sys.stderr.isatty(), every
        self.began = self.said = monotonic()
        self.n_said = None
        place = {"file": _Nowhere()} if self.lines else {}
        disable = disable or _silent or not is_first_process()
        super().__init__(*args, disable=disable, **{"dynamic_ncols": True} | options | place)

    def milestone(self, text: str) -> None:
        """Prints a line at a milestone; `text` says what the work has reached."""
        self.set_postfix_str(text)
        if self.lines and not self.disable:
            self._say(text)

    def display(self, msg: str | None = None, pos: int | None = None) -> bool:
        if not self.lines:
            return super().display(msg, pos)
        if monotonic() - self.said >= self.every:
            self._say(", ".join(filter(None, (self._count(), self.postfix))))
        return True

    def __del__(self) -> None:
        self.n_said = getattr(self, "n", None)  # a bar that is discarded after an error prints nothing
        super().__del__()

    def close(self) -> None:
        if getattr(self, "lines", False) and not getattr(self, "disable", True):  # __init__ may have failed
            shown = self.n_said is not None or monotonic() - self.began >= EVERY
            if shown and self.n_said != self.n:
                self._say(", ".join(filter(None, (self._count(), self.postfix))), last=True)
            self.every = math.inf
        super().close()

    def _say(self, text: str, last: bool = False) -> None:
        self.said, self.n_said = monotonic(), self.n
        line = f"{_run}{self.desc.removesuffix(': ')}: {text}, {self._time_left(last)}\n"
        sys.stderr.write(line)  # at once: print writes the line's end by itself, and a signal may come in between
        sys.stderr.flush()

    def _count(self) -> str:
        if self.unit == "B":
            return gigabytes(self.n) + (f" of {gigabytes(self.total)}" if self.total else "")
        counted = f"{self.n:,} of {self.total:,}" if self.total else f"{self.n:,}"
        return counted if self.unit == "it" else f"{self.unit} {counted}"

    def _time_left(self, last: bool) -> str:
        """Returns the time left, if the work goes on as fast as it did so far."""
        passed, made = monotonic() - self.began, self.n - self.initial
        if self.total and self.n < self.total and not last:
            return f"{clock(passed / made * (self.total - self.n))} left" if made > 0 else f"{clock(passed)} so far"
        done = self.total is None or self.n >= self.total
        return f"{'took' if done else 'stopped after'} {clock(passed)}"


class _Nowhere:
    """Discards what tqdm itself would draw."""

    def write(self, text: str) -> None:
        pass

    def flush(self) -> None:
        pass
