from collections.abc import Callable
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from analysis.runs.found import SEEDS, Run
from conf import schema

CONF = Path(__file__).resolve().parents[3] / "conf"
schema.register()


@pytest.fixture(scope="session")
def default() -> DictConfig:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose("config")


@pytest.fixture
def run_of() -> Callable[..., Run]:
    """run_of({"finetune.lr": 0.1}, groups, train=3, tables=...): a run of these settings, as if it had been read."""
    count = 0

    def make(
        settings: dict, groups: dict | None = None, *, chosen: list | None = None, name: str = "digits",
        tables: dict | None = None, kept: dict | None = None, about: dict | None = None, finished: str = "",
        repeat: str | None = None, **seeds: int,
    ) -> Run:  # fmt: skip
        """chosen: the keys that were, if not all; groups: None for a run of before they were written down; kept: what
        each measure has kept of its samples."""
        nonlocal count
        count += 1
        every = {"seed": 0} | {key: seeds.get(key.partition(".")[2], 0) for key in SEEDS} | {"repeat": repeat}
        keys = {key: settings[key] for key in (settings if chosen is None else chosen)}
        recorded = None if groups is None else {"groups": groups, "keys": keys}
        return Run(Path(f"run{count}"), name, settings, every, recorded, f"digest{count}", finished, tables or {},
                   about or {}, kept or {})  # fmt: skip

    return make
