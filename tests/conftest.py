"""Tiny studies for the end-to-end tests."""

import shutil
from pathlib import Path

import pytest
from studies import Finished, Studies

from stages import speed

speed.prepare()  # of the runs that are forked, too


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    output = tmp_path_factory.mktemp("finished") / "outputs"
    result = Studies(output, tmp_path_factory.mktemp("finished_scrap"))()
    assert result.code == 0, result.err
    return Finished(output, result)


@pytest.fixture
def study(tmp_path: Path) -> Studies:
    """study(*overrides, output=..., kill_at=("before" | "after", file), ENVIRONMENT=...) runs the tiny study."""
    return Studies(tmp_path / "outputs", tmp_path / "scrap")


@pytest.fixture
def resumable(study: Studies, finished: Finished) -> Studies:
    """The same, in a folder where the study is complete already."""
    shutil.copytree(finished.output, study.output, symlinks=True)
    return study
