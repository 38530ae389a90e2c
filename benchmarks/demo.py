"""Measures the seconds of every stage of `python run.py` in a fresh folder, and their shares of the whole; and the
seconds of `make demo`, three trainings from one pre-training with their summary.

The start is everything before the first stage: imports, and the checks of all stages.
python -m benchmarks.demo writes benchmarks/demo.csv.
"""

import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import pandas as pd

from benchmarks.timing import record
from stages import table

RUN = Path(__file__).resolve().parents[1] / "run.py"
DEMO = "experiment=digits_seeds"


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        taken = seconds([*sys.argv[1:], f"output={folder}"])
        whole = time.perf_counter() - began
    rows = [(part, round(taken[part], 1), f"{taken[part] / whole:.0%}") for part in taken]
    rows += [("together", round(whole, 1), "100%")]
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        seconds([DEMO, *sys.argv[1:], f"output={folder}"])
        three = time.perf_counter() - began
    rows += [("three trainings and their summary", round(three, 1), f"{three / whole:.0%}")]
    record(pd.DataFrame(rows, columns=["part", "seconds", "share"]), __file__)


def seconds(overrides: list[str]) -> dict[str, float]:
    """Returns the seconds of the start and of each stage, from the times of the lines that the run prints.

    Raises CalledProcessError if the run fails.
    """
    command = [sys.executable, str(RUN), *overrides]
    parts, taken, before = ("start", *table.names()), Counter(), time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as run:
        for line in run.stdout:
            said = line.partition(":")[0].partition("/")[0]  # interactions/probe: what the stage leaves
            part = "start" if said == "disk" else said
            if part in parts:
                now = time.perf_counter()
                taken[part] += now - before
                before = now
    if run.returncode:
        raise subprocess.CalledProcessError(run.returncode, command)
    return taken


if __name__ == "__main__":
    main()
