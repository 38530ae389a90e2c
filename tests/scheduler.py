"""A real Slurm for tests, with one node, on this machine and without systemd: about a second to start."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

HERE = Path(__file__).parent / "cluster" / "slurm"
ROOT = Path(__file__).resolve().parents[1]
NONE = "there is no Slurm on this machine that a test could start: as root, apt-get install slurm-wlm munge"


class Slurm:
    """env: the environment with which commands find it."""

    def __init__(self, conf: str) -> None:
        self.env = os.environ | {
            "SLURM_CONF": conf,
            "PATH": f"{HERE / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "WANDB_MODE": "disabled",
            "OMP_NUM_THREADS": "1",
        }

    def __call__(self, *words: object, cwd: Path, code: int | None = 0, **env: str) -> subprocess.CompletedProcess:
        """Runs a command such as sbatch or python until it ends. code: the exit code it must have; None: any."""
        done = subprocess.run(
            list(map(str, words)), cwd=cwd, env=self.env | env, capture_output=True, text=True, timeout=400
        )
        assert code is None or done.returncode == code, (
            f"{words}: exit code {done.returncode}\n{done.stdout}{done.stderr}"
        )
        return done

    def states(self) -> dict[str, str]:
        """Returns the state of every job that Slurm remembers, such as {"7": "RUNNING", "8_1": "FAILED"}."""
        listed = subprocess.run(["scontrol", "-o", "show", "job"], env=self.env, capture_output=True, text=True).stdout
        rows = [dict(word.partition("=")[::2] for word in line.split()) for line in listed.splitlines()]
        return {self._name(row): row["JobState"] for row in rows if "JobId" in row}

    def _name(self, row: dict[str, str]) -> str:
        return f"{row['ArrayJobId']}_{row['ArrayTaskId']}" if "ArrayJobId" in row else row["JobId"]

    def wait(self, until: Callable[[], object], seconds: float = 200) -> None:
        """Waits until the condition holds."""
        end = time.monotonic() + seconds
        while not until():
            assert time.monotonic() < end, f"waited {seconds} s in vain; jobs: {self.states()}"
            time.sleep(0.2)

    def wait_for_all(self, seconds: float = 400) -> dict[str, str]:
        """Waits until no job is pending or running; returns how each ended."""
        self.wait(
            lambda: not {"PENDING", "RUNNING", "COMPLETING", "CONFIGURING"} & set(self.states().values()), seconds
        )
        return self.states()


@contextmanager
def started(largest_array: int = 1001) -> Iterator[Slurm]:
    if os.getuid() or not all(map(shutil.which, ("slurmctld", "slurmd", "munged"))):
        pytest.skip(NONE)
    folder = tempfile.mkdtemp(prefix="slurm-")  # not in pytest's folders, which Slurm's own users could not enter
    up = subprocess.run(
        ["bash", HERE / "up.sh", folder, str(largest_array)], capture_output=True, text=True, check=False
    )
    assert up.returncode == 0, up.stdout + up.stderr
    try:
        yield Slurm(up.stdout.strip().splitlines()[-1])
    finally:
        subprocess.run(["bash", HERE / "down.sh", folder], check=False, capture_output=True)
        shutil.rmtree(folder, ignore_errors=True)
