"""Estimates what a study will take, before it begins: passes through the network, disk, time.

It imports nothing heavy, so that a run with nothing left to do ends at once.
"""

import math
import shutil
from dataclasses import dataclass, fields, replace
from pathlib import Path

from conf.errors import BadInput
from stages.span import NO_TIME, Span

STATES = {"adamw": 2, "adam": 2, "sgd": 1}  # numbers that an optimiser keeps per weight
# Seconds of a training beside its passes, per step, epoch and byte. Measured with a network of 10 weights on two cores
# that were in use: 2.3 ms a step, 80 ms an epoch; of a byte on disks of 2 GB/s to 200 MB/s.
STEP, EPOCH, WRITTEN = Span(0.001, 0.003), Span(0.03, 0.15), Span(0.5e-9, 5e-9)


@dataclass(frozen=True)
class Need:
    """What one stage takes. forward, trained: number of inputs that are passed forward only, and forward and
    backward; masked: number of masked inputs that are evaluated; loaded: number of inputs that are read from disk;
    disk: bytes; task: the task of the inputs, source or target; besides: time that does not depend on inputs."""

    forward: int = 0
    trained: int = 0
    masked: int = 0
    loaded: int = 0
    disk: int = 0
    task: str = "target"
    besides: Span = NO_TIME

    def __add__(self, other: "Need") -> "Need":
        """Returns what two parts of a stage take, with inputs of the same task."""
        both = {field.name: getattr(self, field.name) + getattr(other, field.name)
                for field in fields(self) if field.name != "task"}  # fmt: skip
        return replace(self, **both)

    @classmethod
    def of_training(
        cls, options: object, weights: int, train: int, test: int, kept: int, task: str, passes: float
    ) -> "Need":
        """Returns the need of a training. weights: bytes of a checkpoint; train, test: samples; kept: number of
        checkpoints that stay; passes: epochs, 2.5 if the third ends halfway. During training the disk also holds one
        with the optimiser's state, and a second one while it is written."""
        epochs, with_state = math.ceil(passes), weights * (1 + STATES[options.optimizer])
        tested, trained = test * (epochs + 1), math.ceil(train * passes)
        steps = math.ceil(math.ceil(train / options.batch_size) * passes)
        besides = STEP * steps + EPOCH * epochs + WRITTEN * (weights * kept + with_state * epochs)
        disk = weights * kept + 2 * with_state + 8 * tested
        return cls(tested, trained, loaded=tested + trained, disk=disk, task=task, besides=besides)


@dataclass(frozen=True)
class Rates:
    """The seconds per input of one task, for each kind of work in `Need`."""

    forward: Span = NO_TIME
    trained: Span = NO_TIME
    masked: Span = NO_TIME
    loaded: Span = NO_TIME

    def seconds(self, need: Need) -> Span:
        passes = self.forward * need.forward + self.trained * need.trained + self.masked * need.masked
        return need.besides + passes + self.loaded * need.loaded


def check_disk(wanted: int, output: Path) -> None:
    """Prints how many bytes will be written at most. Raises BadInput if the disk has less space."""
    free = free_disk(output)
    if wanted > free:
        raise BadInput(
            f"no space left on {output}: {gigabytes(wanted)} needed, {gigabytes(free)} free; delete something "
            f"(python -m stages.unused lists results that no run shows), keep the checkpoints of fewer epochs "
            f"(checkpoints.epochs, such as [0,1,2,5]), or choose another output=..."
        )
    print(f"disk: at most {gigabytes(wanted)} will be used in {output}, {gigabytes(free)} are free", flush=True)


def free_disk(folder: Path) -> int:
    """Returns the free bytes on the disk where `folder` is, or will be made."""
    nearest = next(place for place in (folder.absolute(), *folder.absolute().parents) if place.exists())
    return shutil.disk_usage(nearest).free


def gigabytes(count: float) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e8 else f"{count / 1e6:.1f} MB"
