"""Measures time for the benchmarks and records the results: sides in turn, medians, one CSV next to each script."""

import platform
import statistics
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import pandas as pd
import torch


def place() -> torch.device:
    """Returns the accelerator if the machine has one, otherwise the CPU."""
    return torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")


def alternate(sides: list[Callable[[], object]], repeats: int) -> list[float]:
    """Returns the median seconds of each side. The sides run in turn under the same conditions; the first time does not
    count."""
    seconds = [[] for _ in sides]
    for repeat in range(repeats + 1):
        for side, taken in zip(sides, seconds, strict=True):
            started = time.perf_counter()
            side()
            if torch.accelerator.is_available():
                torch.accelerator.synchronize()
            if repeat > 0:
                taken.append(time.perf_counter() - started)
    return [statistics.median(taken) for taken in seconds]


def record(table: pd.DataFrame, script: str, key: str | None = None) -> None:
    """Prints the table and writes <script>.csv, with the columns machine, python, torch, numpy, date.

    key: a column; rows of the file stay if the table lacks their value of this column.
    """
    print(table.to_string(index=False), flush=True)
    about = {
        "machine": machine(),
        "python": platform.python_version(),
        **{package: version(package) for package in ("torch", "numpy")},
        "date": time.strftime("%Y-%m-%d"),
    }
    file, table = Path(script).with_suffix(".csv"), table.assign(**about)
    if key and file.exists():
        before = pd.read_csv(file, dtype=str)
        table = pd.concat([table, before[~before[key].isin(table[key].astype(str))]])
    table.to_csv(file, index=False)


def machine() -> str:
    if place().type == "cuda":
        return torch.cuda.get_device_name()
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(": ")[1] for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.machine()}, {torch.get_num_threads()} threads"
