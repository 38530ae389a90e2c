"""What a study will take, before it begins: passes through the network, disk, time.

Imports nothing heavy, so that a run with nothing left to do ends at once.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path

from conf.errors import BadInput

STATES = {"adamw": 2, "sgd": 1}  # numbers that an optimiser keeps per weight


@dataclass(frozen=True)
class Need:
    """Of one stage. forward, trained: how many inputs are passed forward only, and forward and backward;
    loaded: how many are read from disk; disk: bytes; speedup: how many times as fast as forward passes they go."""

    forward: int = 0
    trained: int = 0
    loaded: int = 0
    disk: int = 0
    speedup: float = 1

    @classmethod
    def of_training(cls, options: object, weights: int, train: int, test: int, kept: int) -> "Need":
        """weights: bytes of a checkpoint; train, test: samples; kept: how many checkpoints stay. While training goes
        on, one with the optimiser's state is there, and a second one while it is written."""
        tested, trained = test * (options.epochs + 1), train * options.epochs
        disk = weights * (kept + 2 * (1 + STATES[options.optimizer])) + 8 * tested
        return cls(tested, trained, tested + trained, disk)


def check_disk(disk: int, there: int, output: Path) -> None:
    """Says how much disk is needed, `there` of it taken already. Raises BadInput if there is not as much free."""
    free, wanted = free_disk(output), max(disk - there, 0)
    print(f"disk: {gigabytes(wanted)} will be used in {output}, {gigabytes(free)} are free", flush=True)
    if wanted > free:
        raise BadInput(
            f"{output} has {gigabytes(free)} free and this run needs {gigabytes(wanted)}: keep fewer checkpoints "
            f"(checkpoints.epochs=[0,1,2,5,10,20]), or choose another output=..."
        )


def free_disk(folder: Path) -> int:
    """Bytes that are free where `folder` is, or will be made."""
    nearest = next(place for place in (folder.absolute(), *folder.absolute().parents) if place.exists())
    return shutil.disk_usage(nearest).free


def gigabytes(count: float) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e8 else f"{count / 1e6:.1f} MB"


def duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def planned(rows: list[tuple[str, str, Need, float]]) -> str:
    """rows: (stage; complete, begun or to do; its need; seconds)."""
    lines = [f"{'stage':<13} {'state':<9} {'forward':>13} {'trained on':>12} {'disk':>9} {'time':>8}"]
    lines += [
        f"{stage:<13} {state:<9} {need.forward:>13,} {need.trained:>12,} {gigabytes(need.disk):>9} {duration(s):>8}"
        for stage, state, need, s in [*rows, _sum(rows)]
    ]
    return "\n".join(lines)


def _sum(rows: list[tuple[str, str, Need, float]]) -> tuple[str, str, Need, float]:
    needs = [need for _, _, need, _ in rows]
    total = Need(*(sum(getattr(need, key) for need in needs) for key in ("forward", "trained", "loaded", "disk")))
    return "together", "", total, sum(seconds for *_, seconds in rows)
