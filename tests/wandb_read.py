"""Reads offline W&B runs back with W&B's own command line: a list of records for each."""

import json
import os
import subprocess
import sys
from pathlib import Path

WANDB = Path(sys.executable).with_name("wandb")


def summary(records: list[dict]) -> dict[str, object]:
    """The last value of each key; W&B keeps those of the history there as well."""
    found = {}
    for record in records:
        found |= record.get("summary", {}).get("update", {})
    return found


def folders(output: Path) -> list[Path]:
    return sorted(output.rglob("wandb/offline-run-*"))


def ids(output: Path) -> list[str]:
    return ["-".join(folder.name.split("-")[-3:]) for folder in folders(output)]


def read_back(output: Path) -> list[list[dict]]:
    """The records of every run, read all at once: the command line takes a second or two to start."""
    commands = [[WANDB, "leet", "inspect", "--json", folder] for folder in folders(output)]
    reading = [
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | {"WANDB_MODE": "offline"})
        for command in commands
    ]
    return [[json.loads(line) for line in process.communicate(timeout=60)[0].splitlines()] for process in reading]


def run_of(records: list[dict]) -> dict:
    return next(record["run"] for record in records if record["type"] == "run")


def history(records: list[dict]) -> list[dict]:
    return [record["history"]["item"] for record in records if record["type"] == "history"]


def artifacts(records: list[dict], kind: str) -> list[dict]:
    found = (record["artifact"] for record in records if record["type"] == "artifact")
    return [artifact for artifact in found if artifact["type"] == kind]


def keys(records: list[dict]) -> set[str]:
    """All that can be drawn or sorted by; of a table or picture its name."""
    return {key.removesuffix("._type") for key in set().union(summary(records), *history(records))}
