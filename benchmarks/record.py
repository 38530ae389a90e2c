"""Prints what was measured and keeps it beside the script that measured it, with where and when."""

import platform
import time
from importlib.metadata import version
from pathlib import Path

import pandas as pd
import torch


def record(table: pd.DataFrame, script: str) -> None:
    """Writes <script>.csv: the table with the columns device, python, torch, numpy, date. Overwrites an older one."""
    print(table.to_string(index=False))
    about = {
        "device": processor(),
        "python": platform.python_version(),
        **{package: version(package) for package in ("torch", "numpy")},
        "date": time.strftime("%Y-%m-%d"),
    }
    table.assign(**about).to_csv(Path(script).with_suffix(".csv"), index=False)


def processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(": ")[1] for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.machine()}, {torch.get_num_threads()} threads"
