"""Measures what stored features save: a linear probe on them against one that forwards its inputs every epoch.

Both train the same head; the second would also pass all training inputs forward in every epoch, and all test inputs
after each. Forward passes are timed once. "first" computes and stores the features, "again" reads the stored ones.

Large sets are evaluated by a lean forward pass (models/evaluated.py). These are smaller: its milliseconds for an input
are measured beside those of the network itself, in turn; "made" is the time that it takes to make.
python -m benchmarks.probe writes benchmarks/probe.csv.
"""

import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from omegaconf import OmegaConf
from torch.utils.data import DataLoader

from benchmarks.timing import alternate, record
from checkpoints.features import features
from data.splits import InMemory, Splits
from models.backbone import Classifier
from models.batch_size import fitting
from models.device import exact_float32
from models.evaluated import Layers
from models.layers import PENULTIMATE, Watched
from models.lean.forward import lean
from models.vision import conv4, resnet18
from pretrain_probe.probe import train

EPOCHS, CLASSES, CPU = 20, 10, torch.device("cpu")
REPEATS = 10
TASKS = {  # network, pixels, training and test samples
    "conv4, 32 pixels": (conv4, 32, 1000, 800),
    "resnet18, 224 pixels": (lambda num_classes: resnet18(num_classes, "imagenet"), 224, 160, 80),
}
OPTIONS = {"epochs": EPOCHS, "l2": 1e-2, "lr": 0.1, "batch_size": 64}


def main() -> None:
    record(pd.DataFrame([row for task in TASKS for row in measure(task)]), __file__)


def measure(task: str) -> list[dict[str, object]]:
    """Returns a row for each solver."""
    make, pixels, *samples = TASKS[task]
    torch.manual_seed(0)
    model = Classifier(make(num_classes=CLASSES)).eval()
    inputs = {split: drawn(count, pixels) for split, count in zip(("train", "test"), samples, strict=True)}
    with tempfile.TemporaryDirectory() as folder:
        found, computing, reading = {}, {}, 0.0
        for split, dataset in inputs.items():
            batches = DataLoader(dataset, fitting(model, dataset.inputs[:1], CPU))
            get = partial(features, model, batches, Path(folder), split, CPU)
            found[split], computing[split] = timed(get)
            reading += timed(get)[1]
        seen = Splits(*(InMemory(found[split].double(), inputs[split].labels) for split in inputs), range(CLASSES))

        def probe(solver: str, name: str) -> None:
            options = OmegaConf.create(OPTIONS | {"solver": solver})
            train(seen, options, 0, Path(folder, name), lambda row: None)

        probe("sgd", "warm")  # the first training of a process imports and compiles
        rows, passes = [], forward(model, inputs["train"].inputs)
        for solver in ("sgd", "lbfgs"):
            training = timed(partial(probe, solver, solver))[1]
            every_epoch = EPOCHS * computing["train"] + (EPOCHS + 1) * computing["test"] + training
            rows.append({"task": task, "solver": solver, "forwarding every epoch, s": round(every_epoch, 2)} | passes)
            for name, getting in (("first", sum(computing.values())), ("again", reading)):
                rows[-1] |= {f"{name}, s": round(getting + training, 2)}
                rows[-1] |= {f"{name}, ratio": round(every_epoch / (getting + training), 1)}
    return rows


@torch.inference_mode()
def forward(model: Classifier, inputs: torch.Tensor) -> dict[str, float]:
    """Returns how long the features of an input take, by the network itself and by a lean forward pass."""
    batch = inputs[: fitting(model, inputs[:1], CPU)]
    with exact_float32(), Watched(model, [PENULTIMATE], "mean") as watched:
        found, made = timed(partial(lean, Layers(watched), batch))
        own, fast = (
            seconds / len(batch) for seconds in alternate([lambda: watched(batch), lambda: found(batch)], REPEATS)
        )
    return {"network, ms": round(1e3 * own, 2), "lean, ms": round(1e3 * fast, 2), "lean, ratio": round(own / fast, 2),
            "made, s": round(made, 1)}  # fmt: skip


def drawn(samples: int, pixels: int) -> InMemory:
    return InMemory(torch.randn(samples, 3, pixels, pixels), np.arange(samples) % CLASSES)


def timed(call: Callable) -> tuple[object, float]:
    started = time.perf_counter()
    return call(), time.perf_counter() - started


if __name__ == "__main__":
    main()
