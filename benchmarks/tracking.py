"""Measures what a mirror costs: a small study without one, and with each kind, in turn, in fresh folders.

python -m benchmarks.tracking writes benchmarks/tracking.csv: the seconds of a study of eight results and an analysis.
"""

import os
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

import pandas as pd

from benchmarks.timing import alternate, record

RUN = Path(__file__).resolve().parents[1] / "run.py"
SMALL = ("pretrain.epochs=2", "finetune.epochs=2", "interactions.n=5", "analysis.gallery=2")
NOBODY = {"WANDB_BASE_URL": "http://10.255.255.1", "WANDB_API_KEY": "0" * 40}  # an address that never answers
KINDS = {
    "none": ["wandb.mode=disabled"],
    "W&B offline": ["wandb.mode=offline"],
    "W&B online, server not there": ["wandb.mode=online"],
    "TensorBoard": ["logger=tensorboard"],
    "CSV": ["logger=csv"],
}
RESULTS, REPEATS = 9, 2


def main() -> None:
    taken = alternate([partial(study, words) for words in KINDS.values()], REPEATS)
    rows = [(kind, round(seconds, 1), round(seconds / taken[0], 3), round((seconds - taken[0]) / RESULTS, 2))
            for kind, seconds in zip(KINDS, taken, strict=True)]  # fmt: skip
    record(pd.DataFrame(rows, columns=["mirror", "seconds", "over none", "seconds per result"]), __file__)


def study(words: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, str(RUN), *SMALL, *words, f"output={folder}"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                       env=os.environ | NOBODY)  # fmt: skip


if __name__ == "__main__":
    main()
