"""What Hydra itself would leave of a sweep of plans: nothing.

Hydra makes the folder hydra.sweep.dir before the first run and writes multirun.yaml there, whatever the runs do. For
plan=true that folder is a temporary one, which is gone when the sweep has ended.
"""

import tempfile

from hydra.experimental.callback import Callback
from omegaconf import DictConfig, open_dict, read_write


class NothingOfPlans(Callback):
    """Of Hydra's (conf/config.yaml: hydra.callbacks)."""

    def __init__(self) -> None:
        self._scrap: tempfile.TemporaryDirectory | None = None

    def on_multirun_start(self, config: DictConfig, **_: object) -> None:
        if config.plan is not True:
            return
        # If the sweep fails, it is removed when the process ends.
        self._scrap = tempfile.TemporaryDirectory()
        with read_write(config.hydra), open_dict(config.hydra):
            config.hydra.sweep.dir = self._scrap.name
            config.hydra.overrides.hydra.append(f"hydra.sweep.dir={self._scrap.name}")  # for every run, wherever it is

    def on_multirun_end(self, config: DictConfig, **_: object) -> None:
        if self._scrap:
            self._scrap.cleanup()
