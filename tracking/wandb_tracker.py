"""What a W&B run takes while it is open (tracking/wandb_runs.py)."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import count
from math import isfinite
from pathlib import Path

import pandas as pd
import wandb

from stages import attempts
from tracking import server
from tracking.about import About
from tracking.tracker import Row, Tracker, not_vital

NOTING = 1  # second from one writing of rows, and of their number, to the next; W&B itself waits for 15


class WandbTracker(Tracker):
    """A W&B run that is open."""

    def __init__(self, run: wandb.Run, about: About, there: int) -> None:
        """there: rows that the run has already."""
        self.run, self._about, self._there, self._out = run, about, there, there
        self._noted, self._online = time.monotonic(), not run.offline
        if about.axis:
            run.define_metric(about.axis)
            run.define_metric("*", step_metric=about.axis)

    def rows(self) -> Callable[[Row], None]:
        handed = count(1)

        def log(row: Row) -> None:
            number = next(handed)
            if number > self._there:
                with not_vital("a row"):
                    self.run.log(dict(row), step=number - 1)
                    self._out = number
                    if time.monotonic() - self._noted > NOTING:  # a row may be one of a single step
                        self.note()

        return log

    def note(self) -> None:
        """Notes how many rows are out."""
        with not_vital("the number of rows"):
            attempts.note(self._about.folder, rows=self._out)
        self._noted = time.monotonic()

    def series(self, name: str, digest: str, axis: str, rows: Iterable[Row]) -> None:
        logged = attempts.noted(self._about.folder).get("series", {})
        if logged.get(name) == digest:
            return
        with not_vital(f"the curves of {name}"):
            self.run.define_metric(axis)
            self.run.define_metric(f"{name}/*", step_metric=axis)
            for row in rows:
                self.run.log({key: value for key, value in row.items() if isfinite(value)})
            self._out += 1
            attempts.note(self._about.folder, series=logged | {name: digest})

    def summary(self, values: Mapping[str, object]) -> None:
        with not_vital("the summary"):
            self.run.summary.update({key: value for key, value in values.items() if _is_known(value)})

    def text(self, text: str) -> None:
        with not_vital("the answer"):
            self.run.summary["answer"] = self.run.notes = text

    def tables(self, tables: Mapping[str, pd.DataFrame]) -> None:
        with not_vital("the tables"):
            self.run.log({f"tables/{name}": wandb.Table(dataframe=table) for name, table in tables.items()})

    def pictures(self, pictures: Mapping[str, Sequence[tuple[Path, str | None]]]) -> None:
        with not_vital("the pictures"):
            found = {name: [wandb.Image(str(file), caption=caption) for file, caption in of_name]
                     for name, of_name in pictures.items()}  # fmt: skip
            self.run.log({name: images if len(images) > 1 else images[0] for name, images in found.items() if images})

    def files(self, kind: str, folder: Path, patterns: Sequence[str]) -> None:
        with not_vital(f"the {kind}"):
            if self._online and (why := server.lacking(again=True)):
                raise ConnectionError(why)
            artifact = wandb.Artifact(self._about.artifact, type=kind, metadata={"folder": str(folder)})
            for file in sorted(file for pattern in patterns for file in folder.glob(pattern)):
                name = str(file.relative_to(folder))
                artifact.add_reference(file.resolve().as_uri(), name=name)  # with its checksum; nothing is copied
            self.run.log_artifact(artifact)


def _is_known(value: object) -> bool:
    return not isinstance(value, float) or isfinite(value)
