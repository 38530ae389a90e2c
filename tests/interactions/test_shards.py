"""Shards of a study's interactions, and the run that joins them: the same bytes, whatever is killed or done twice."""

import shutil
from pathlib import Path

import pytest
from studies import Finished, Studies, files

STAGE = "stages=[interactions]"
ROLES = ("probe", "finetune", "scratch")


def values(output: Path, engine: str = "") -> dict[str, bytes]:
    found = (output / "results" / "interactions").glob("*/*/epoch_*/*.np*")
    return {str(file.relative_to(output)): file.read_bytes() for file in found}


def place(study: Studies, role: str = "finetune") -> Path:
    (folder,) = (study.output / "results" / "interactions" / role).glob("*/")
    return folder


@pytest.fixture
def begun(resumable: Studies) -> Studies:
    """A study whose values are missing."""
    for role in ROLES:
        shutil.rmtree(place(resumable, role))
    return resumable


@pytest.mark.parametrize("shares", [1, 3, 40])
def test_joined_shards_are_the_whole(begun: Studies, finished: Finished, shares: int) -> None:
    """40 are more than there are units."""
    for number in range(1, shares + 1) if shares < 40 else (1, 7, 14, 20, 27, 40):
        result = begun(STAGE, f"interactions.shard={number}/{shares}")
        print(number, result.out, result.err)
        assert result.code == 0, result.err
    result = begun(STAGE, f"interactions.shard=join/{shares}")
    print(result.out, result.err)
    assert result.code == 0, result.err
    assert values(begun.output) == values(finished.output)
    assert files(begun.output) == files(finished.output)
