"""The Slurm of the tests works: it runs jobs, and says how they ended."""

from pathlib import Path

from scheduler import Slurm


def test_jobs_run_and_say_how_they_ended(slurm: Slurm, tmp_path: Path) -> None:
    good = slurm("sbatch", "--parsable", "-o", "good.log", "--wrap", "hostname", cwd=tmp_path).stdout.strip()
    bad = slurm("sbatch", "--parsable", "-o", "bad.log", "--wrap", "exit 2", cwd=tmp_path).stdout.strip()
    assert slurm.wait_for_all() == {good: "COMPLETED", bad: "FAILED"}
    assert slurm("sacct", "-j", f"{good},{bad}", cwd=tmp_path).stdout.splitlines()[1:] == [
        f"{good}|COMPLETED|0:0|{slurm('hostname', '-s', cwd=tmp_path).stdout.strip()}",
        f"{bad}|FAILED|2:0|{slurm('hostname', '-s', cwd=tmp_path).stdout.strip()}",
    ]
