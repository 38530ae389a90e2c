"""What is complete is confirmed, and planned, where nothing can be written: on a disk that is read-only."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from studies import Finished, Studies, check_refused, contents


@pytest.fixture
def read_only(finished: Finished, tmp_path: Path) -> Iterator[Studies]:
    """The finished study on a small disk of its own, which wants the rights to mount one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=50m", "tmpfs", disk], capture_output=True).returncode:
        pytest.skip("no disk can be mounted here")
    try:
        shutil.copytree(finished.output, disk / "outputs", symlinks=True)
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        yield Studies(disk / "outputs", tmp_path / "scrap")
    finally:
        subprocess.run(["umount", disk], check=True)


def test_a_complete_study_is_of_use_on_a_read_only_disk(read_only: Studies) -> None:
    before = contents(read_only.output)
    for overrides in ((), ("plan=true",), ("plan=true", "analysis.tau=0.1")):
        result = read_only(*overrides)
        assert result.code == 0, result.err
        assert "report: " in result.out or "nothing was written" in result.out
    check_refused(read_only("analysis.tau=0.1"), "run_dir=", "Read-only")
    check_refused(read_only("finetune.lr=0.1"), "output=", "Read-only")
    assert contents(read_only.output) == before
