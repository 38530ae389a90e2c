"""A logger for Lightning that writes no file: logged values become rows, and every row goes to W&B.

Each epoch has a row with all values that were logged for it. If values are logged for single steps, each of these has a
row too, whose "epoch" is a fraction: 2.5 is half-way through the third epoch.
"""

from collections.abc import Callable, Mapping

import lightning
from lightning.pytorch.loggers.logger import Logger

from conf.errors import BadInput

Row = dict[str, float]


class Mirror(Logger):
    """Passes each row to `track`, and keeps them in `rows`. Its `trainer` must be set before the training begins."""

    name, version = None, None  # this logger has no runs to name

    def __init__(self, track: Callable[[Row], None]) -> None:
        super().__init__()
        self.trainer: lightning.Trainer | None = None
        self.rows: list[Row] = []
        self._track = track
        self._epoch, self._logged = 0, {}

    def log_hyperparams(self, *_: object, **__: object) -> None:
        """Does nothing: W&B already has the stage's settings."""

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Takes the values that Lightning and its callbacks log, from any hook."""
        trainer = self.trainer
        if self._in_a_step():
            epoch = trainer.current_epoch + trainer.fit_loop.batch_idx / trainer.num_training_batches
            step = trainer.global_step if step is None else step
            self._add(_numbers(metrics) | {"epoch": epoch, "trainer/global_step": step})
            return
        if self._epoch != trainer.current_epoch + 1:
            self._epoch, self._logged = trainer.current_epoch + 1, {}
        self._logged |= _numbers(metrics)

    def end_epoch(self, row: Row) -> None:
        """Adds the row of epoch `row["epoch"]`: `row`, and the other values that were logged for that epoch."""
        before = self._logged if self._epoch == row["epoch"] else {}
        # What callbacks log with self.log for a whole epoch, Lightning hands to loggers only after all callbacks.
        late = self.trainer._logger_connector.metrics["log"]
        self._add(row | before | _numbers(late) | row)  # our own values are exact, and replace others

    def restore(self, rows: list[Row]) -> None:
        """Passes on the rows of an interrupted training again, so that the W&B run of the next attempt is complete."""
        self.rows = rows
        for row in rows:
            self._track(row)

    def _in_a_step(self) -> bool:
        """Returns whether Lightning is at a training batch: not before the first, after the last, or at the test
        set."""
        epochs = self.trainer.fit_loop.epoch_progress.current
        return self.trainer.training and epochs.started > epochs.processed

    def _add(self, row: Row) -> None:
        self.rows.append(row)
        if self.trainer.is_global_zero:
            self._track(row)


def _numbers(metrics: Mapping[str, float]) -> Row:
    numbers = {}
    for key, value in metrics.items():
        try:
            numbers[key] = float(value)
        except (TypeError, ValueError) as error:
            raise BadInput(
                f"a callback logs {key}={value!r}, which is not a number: numbers alone can be logged"
            ) from error
    return numbers
