"""Measures what the program's own settings gain on a CPU (stages/speed.py): two trainings at once, and keeping freed
memory.

Each measurement is a separate process, since libraries read their settings when they are loaded: training steps of the
default network on batches of 32 images, or forward passes of 256. Processes that run at once begin together. They are
compared with OMP_WAIT_POLICY=active, and with glibc's own thresholds for memory. The results are medians over rounds.
python -m benchmarks.two_runs writes benchmarks/two_runs.csv.
"""

import os
import statistics
import subprocess
import sys
import time

import pandas as pd
import torch
from torch.nn.functional import cross_entropy

from benchmarks.timing import record
from models.vision import conv4

ROUNDS, STEPS = 5, {"training": 40, "forward": 10}
BATCH = {"training": 32, "forward": 256}
ACTIVE = {"OMP_WAIT_POLICY": "active"}
GIVEN_BACK = {"MALLOC_MMAP_THRESHOLD_": str(2**25), "MALLOC_TRIM_THRESHOLD_": str(2**26)}
# For each kind of work the compared sides: the number of processes at once, and their environment.
SIDES = {
    "training": {
        "alone": (1, {}),
        "alone, active": (1, ACTIVE),
        "two at once": (2, {}),
        "two at once, active": (2, ACTIVE),
    },
    "forward": {"memory kept": (1, {}), "memory given back": (1, GIVEN_BACK)},
}


def main() -> None:
    rows = []
    for work, sides in SIDES.items():
        rounds = [[milliseconds(work, *side) for side in sides.values()] for _ in range(ROUNDS)]
        for side, name in enumerate(sides):
            taken = statistics.median(each[side] for each in rounds)
            ratio = statistics.median(each[side] / each[0] for each in rounds)
            rows.append({"work": work, "side": name, "ms": round(taken, 1), "times the first": round(ratio, 2)})
    record(pd.DataFrame(rows), __file__)


def milliseconds(work: str, count: int, env: dict[str, str]) -> float:
    """Returns the milliseconds of a step by `count` processes at once, their mean."""
    command = [sys.executable, "-m", "benchmarks.two_runs", work]
    usual = {key: value for key, value in os.environ.items() if key not in (*ACTIVE, *GIVEN_BACK)}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "env": usual | env}
    started = [subprocess.Popen(command, **pipes) for _ in range(count)]
    for process in started:
        process.stdout.readline()  # it is ready
    for process in started:
        process.stdin.write("begin\n")
        process.stdin.flush()
    taken = [float(process.communicate()[0]) for process in started]
    return statistics.mean(taken)


def steps(work: str) -> None:
    """Does the work of each process: prints when it is ready, waits for its turn, and prints how many ms a step
    took."""
    torch.manual_seed(0)
    model = conv4(10, width=64, image_size=32)
    images, labels = torch.randn(BATCH[work], 3, 32, 32), torch.arange(BATCH[work]) % 10
    step = _training(model, images, labels) if work == "training" else torch.inference_mode()(lambda: model(images))
    for _ in range(3):
        step()
    print("ready", flush=True)
    sys.stdin.readline()
    started = time.perf_counter()
    for _ in range(STEPS[work]):
        step()
    print(1000 * (time.perf_counter() - started) / STEPS[work], flush=True)


def _training(model: torch.nn.Module, images: torch.Tensor, labels: torch.Tensor) -> callable:
    optimizer = torch.optim.AdamW(model.parameters())

    def step() -> None:
        optimizer.zero_grad()
        cross_entropy(model(images), labels).backward()
        optimizer.step()

    return step


if __name__ == "__main__":
    steps(sys.argv[1]) if sys.argv[1:] else main()
