"""A configuration to change, and what decides the results of the study that it describes."""

from collections.abc import Callable
from pathlib import Path

import pytest
from changing import changed
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from conf import schema
from stages import fingerprints, sources
from stages.identity import results_of

CONF = Path(__file__).resolve().parents[2] / "conf"

schema.register()


@pytest.fixture(autouse=True)
def _new_process() -> None:
    """In one process a file has one fingerprint for good."""
    fingerprints.forget()
    sources.forget()


@pytest.fixture(scope="session")
def default() -> DictConfig:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose("config")


@pytest.fixture
def cfg(default: DictConfig, tmp_path: Path) -> DictConfig:
    return changed(default, output=str(tmp_path / "outputs"), run_dir=str(tmp_path / "outputs" / "run"))


@pytest.fixture
def digests() -> Callable[..., dict[str, str]]:
    """digests(cfg, **changes): of every result, by name, as a new process finds them."""

    def found(cfg: DictConfig, **values: object) -> dict[str, str]:
        fingerprints.forget()
        sources.forget()
        return {name: result.digest for name, result in results_of(changed(cfg, **values)).items()}

    return found
