"""What a result logs while it is made. A `Tracker` drops all of it; wandb_runs.py and loggers.py have those that keep
it.

A tracker is a mirror: the files in the results and runs are the record. What it can't write, it says in one line, and
the work goes on.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pandas as pd

Row = Mapping[str, float]


class Tracker:
    """Takes what is logged, and drops it."""

    def rows(self) -> Callable[[Row], None]:
        """Returns a function that logs the rows of a training, each with its `epoch`. A training that goes on passes on
        its first rows again."""
        return lambda row: None

    def series(self, name: str, digest: str, axis: str, rows: Iterable[Row]) -> None:
        """Logs curves `name/...` along their own axis. digest: of what they are made from; rows: with the axis."""

    def summary(self, values: Mapping[str, object]) -> None:
        """Sets what runs are sorted by."""

    def text(self, text: str) -> None:
        """Sets what stands on top of the run's page."""

    def tables(self, tables: Mapping[str, pd.DataFrame]) -> None:
        """Logs tables/<name>."""

    def pictures(self, pictures: Mapping[str, Sequence[tuple[Path, str | None]]]) -> None:
        """Logs pictures by name: of each the files (.png), with captions."""

    def files(self, kind: str, folder: Path, patterns: Sequence[str]) -> None:
        """Logs where files of the result are, with their digests: nothing is copied. kind: checkpoints, values, ..."""


@contextmanager
def not_vital(what: str) -> Iterator[None]:
    """Prints an error and goes on, as a mirror is not essential: W&B also writes to the user's home and $TMPDIR, and
    its process may have ended already, if a scheduler ends this job."""
    try:
        yield
    except Exception as error:
        if not is_the_mirrors(error):
            raise
        print(f"W&B: {what} not logged: {str(error) or type(error).__name__}", flush=True)


def is_the_mirrors(error: Exception) -> bool:
    """Tells whether an error is W&B's (whose errors have no common class) or that of a disk or the network."""
    return isinstance(error, OSError) or type(error).__module__.partition(".")[0] == "wandb"
