"""A configuration to change, and what decides the results of the study that it describes."""

from collections.abc import Callable
from pathlib import Path

import pytest
from changing import changed
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from conf import schema
from stages import fingerprints, sources
from stages.identity import Result, Results, results_of
from stages.locks import locked
from stages.results import epochs_of, finish, start
from stages.view import show

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


@pytest.fixture
def shown() -> Callable[..., Results]:
    """shown(cfg, *names, content=...): leaves these results complete, all if none is named, and the run that shows
    them; returns all results of the study."""

    def make(cfg: DictConfig, *names: str, content: str = "made") -> Results:
        results = results_of(cfg)
        for name in names or results:
            with locked(results[name].folder):
                _fill(start(results[name]), results[name], content)
                finish(results[name], last=results[name].planned)
        show(Path(cfg.run_dir), cfg, results, list(names or results))
        return results

    return make


def _fill(folder: Path, result: Result, content: str) -> None:
    kind = "epoch_{:03d}/meta.json" if result.name.startswith("interactions/") else "checkpoints/epoch_{:03d}.pt"
    for name in ["table.csv", *(kind.format(epoch) for epoch in epochs_of(result))]:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"{content} {result.name} {name}")
