"""Tests on a real scheduler; where none can be started they are skipped, saying so."""

from collections.abc import Iterator

import pytest
from scheduler import Slurm, started


@pytest.fixture(scope="module")
def slurm() -> Iterator[Slurm]:
    with started() as found:
        yield found
