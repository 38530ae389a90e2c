"""A long trial, by hand: make cluster-trial. A study of hundreds of jobs on a Slurm of its own, of which some are
cancelled or killed at random moments; it is submitted again until all is complete. Then every table has
to be that of the same study computed here, one run after the other and undisturbed.

    PYTHONPATH=tests:. python tests/cluster/trial.py [RUNS [SHARDS]]
"""

import random
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from scheduler import ROOT, Slurm, started

STAGES = ("pretrain", "probe", "finetune", "scratch", "interactions", "representations", "join", "analysis")
SMALL = [f"cluster.{stage}.{key}=1" for key in ("cpus", "memory") for stage in STAGES]
PAUSE, CANCELLED = 10, 3  # seconds between two disturbances, and jobs in each
ROUNDS = 20


def main(runs: int = 10, shards: int = 3) -> None:
    words = [f"--config-dir={ROOT / 'tests' / 'conf'}", "experiment=tiny", "wandb.mode=disabled"]
    sweep = f"seeds.train={','.join(map(str, range(runs)))}"
    with tempfile.TemporaryDirectory() as place, started() as slurm:
        folder, draw, began = Path(place), random.Random(0), time.monotonic()
        study = [*words, sweep, "cluster=cpu", f"cluster.interactions.shards={shards}", *SMALL]
        submitted = 0
        for again in range(ROUNDS):
            # In the first rounds it is disturbed, and then left alone, so that it comes to an end.
            said = _module(slurm, folder, "cluster.submit", *study)
            print(f"{_since(began)} {re.search('.*(jobs? submitted|complete).*', said)[0]}", flush=True)
            if "nothing to submit" in said:
                break
            submitted += int(re.search(r"(\d+) jobs? submitted", said)[1])
            _wait(slurm, folder, draw, disturbed=again < 3)
            print(f"{_since(began)} {_module(slurm, folder, 'cluster.status').splitlines()[0]}", flush=True)
        else:
            sys.exit("the study does not come to an end")
        print(f"{submitted} jobs were submitted, in {_since(began)}", flush=True)
        command = [sys.executable, str(ROOT / "run.py"), "-m", *words, sweep, "output=undisturbed"]
        subprocess.run(command, cwd=folder, env=slurm.env, check=True, stdout=subprocess.DEVNULL)
        _compare(folder / "outputs", folder / "undisturbed")


def _module(slurm: Slurm, folder: Path, name: str, *words: str) -> str:
    return slurm(sys.executable, "-m", name, *words, cwd=folder).stdout


def _wait(slurm: Slurm, folder: Path, draw: random.Random, disturbed: bool) -> None:
    """Waits until no job is left; cancels some of those that run, and kills the processes of some, meanwhile."""
    while live := [job for job, state in slurm.states().items() if state in ("PENDING", "RUNNING", "COMPLETING")]:
        time.sleep(PAUSE if disturbed else 1)
        if disturbed:
            slurm("scancel", *draw.sample(live, min(CANCELLED, len(live))), cwd=folder, code=None)
            running = [job for job, state in slurm.states().items() if state == "RUNNING"]
            if running:
                slurm("scancel", "--signal=KILL", draw.choice(running), cwd=folder, code=None)


def _compare(ours: Path, theirs: Path) -> None:
    tables = sorted(theirs.rglob("tables/*.csv"))
    other = [table for table in tables if _text(table, theirs) != _text(ours / table.relative_to(theirs), ours)]
    print(f"{len(tables)} tables compared, {len(other)} differ", *other, sep="\n")
    if other or not tables:
        sys.exit(1)


def _text(table: Path, output: Path) -> str:
    """Returns a table without the name of the output, which is in the folders of runs."""
    return table.read_text().replace(output.name, "")


def _since(began: float) -> str:
    minutes, seconds = divmod(round(time.monotonic() - began), 60)
    return f"{minutes}:{seconds:02}"


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
