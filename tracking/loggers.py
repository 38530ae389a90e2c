"""The same for those who use TensorBoard or CSV files instead of W&B, by Lightning's loggers.

    <run>/tensorboard/finetune/...     curves, numbers and pictures: tensorboard --logdir outputs
    <run>/csv/finetune/metrics.csv     curves and numbers

A result that goes on after an interruption writes its files again, since all rows are passed on again.
"""

import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import isfinite
from pathlib import Path

import numpy as np
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from omegaconf import DictConfig
from PIL import Image

from tracking.about import About
from tracking.tracker import Row, Tracker, not_vital

KINDS = {"tensorboard": TensorBoardLogger, "csv": CSVLogger}
STEP = "trainer/global_step"


@contextmanager
def opened(cfg: DictConfig, about: About) -> Iterator[Tracker]:
    """Yields what logs to <run>/<logger>/<job>. cfg: has `logger`, tensorboard | csv."""
    tracker = LoggerTracker(cfg.logger, about)
    try:
        yield tracker
    finally:
        tracker.end()


class LoggerTracker(Tracker):
    """A logger of Lightning. The step is the place along the axis: the epoch, or the order."""

    def __init__(self, kind: str, about: About) -> None:
        self._logger = KINDS[kind](about.place / kind, name=about.job, version="")
        self._has_columns = kind == "csv"  # among them the axis
        with not_vital("an earlier attempt"):
            shutil.rmtree(self._logger.log_dir, ignore_errors=True)
        with not_vital("the settings"):
            self._logger.log_hyperparams({"name": about.name, "tags": list(about.tags), **about.config})

    def rows(self) -> Callable[[Row], None]:
        return lambda row: self._log(row, "epoch")

    def series(self, name: str, digest: str, axis: str, rows: Iterable[Row]) -> None:
        for row in rows:
            self._log(row, axis)

    def summary(self, values: Mapping[str, object]) -> None:
        numbers = {key: float(value) for key, value in values.items() if isinstance(value, int | float)}
        with not_vital("the summary"):
            self._logger.log_metrics(numbers, step=0)

    def pictures(self, pictures: Mapping[str, Sequence[tuple[Path, str | None]]]) -> None:
        if not isinstance(self._logger, TensorBoardLogger):
            return
        with not_vital("the pictures"):
            for name, of_name in pictures.items():
                for number, (file, _) in enumerate(of_name):
                    picture = np.asarray(Image.open(file).convert("RGB"))
                    self._logger.experiment.add_image(name, picture, number, dataformats="HWC")

    def end(self) -> None:
        with not_vital("the end"):
            self._logger.finalize("success")

    def _log(self, row: Row, axis: str) -> None:
        kept = {key: value for key, value in row.items() if isfinite(value)}
        values = kept if self._has_columns else {key: value for key, value in kept.items() if key != axis}
        with not_vital("a row"):
            self._logger.log_metrics(values, step=round(row.get(STEP, row[axis])))
