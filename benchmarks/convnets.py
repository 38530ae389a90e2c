"""Measures what the local engine gains on timm's convnets: python -m benchmarks.convnets [MODEL ...]

dense    our values by forward passes, on a part of the masked inputs
local    our values by receptive fields, on all masked inputs, planning included
auto     which of the two `interactions.engine=auto` chooses, by the prediction

The networks have random weights and batch-norm statistics of random images; images have 224 pixels, n = 10 patches.
Both sides alternate in one process; the results are medians over draws of the patches.
It writes benchmarks/convnets.csv, or only the rows of the models that are named.
"""

import statistics
import sys
import time
from collections.abc import Callable

import pandas as pd
import torch
from torch import nn

from benchmarks.timing import place, record
from benchmarks.values import Case, sample_set, variables
from interactions.choice import WORTHWHILE
from interactions.dense import log_odds, masked_values
from interactions.local.forward import Local
from interactions.variables.masking import membership
from models.backbone import Classifier
from models.batch_size import fitting
from models.device import exact_float32
from models.heads import find
from models.vision import timm_network

MODELS = ("resnet50", "regnetx_016", "regnety_016", "efficientnet_b0",
          "mobilenetv2_100", "mobilenetv3_large_100", "convnext_tiny", "densenet121")  # fmt: skip
N, DRAWS, TIMED = 10, 2, 32


def main() -> None:
    wanted = sys.argv[1:] or MODELS
    record(pd.DataFrame([measure(name) for name in wanted]), __file__, key="model" if sys.argv[1:] else None)


@torch.no_grad()
def measure(name: str) -> dict[str, object]:
    torch.manual_seed(0)
    where, case = place(), Case(lambda: timm_network(name, 10), 224, 8, TIMED)
    model = Classifier(network := case.make(), find(network, 10, lambda count: timm_network(name, count)))
    model.to(where, memory_format=torch.channels_last)
    calibrate(model, torch.randn(8, 3, case.side, case.side, device=where))
    nn.init.normal_(model.head.weight, std=0.1)
    inputs, baseline = (part.to(where) for part in sample_set(case))
    size, engine = fitting(model, inputs, where), Local(model, inputs.shape[1:])
    label, subset = torch.zeros(1, dtype=torch.long, device=where), torch.randperm(2**N, device=where)[:TIMED]
    faster, predicted, errors, ends = [], [], [], []
    with exact_float32():
        model(inputs)  # the first time does not count
    for draw in range(DRAWS):
        owner = variables(case, N, draw).to(where)
        values = {}

        def dense(owner: torch.Tensor = owner, values: dict = values) -> None:
            sample = torch.zeros_like(subset)
            values["dense"] = masked_values(model, inputs, baseline, membership(owner), label, sample, subset, size)

        def local(owner: torch.Tensor = owner, values: dict = values) -> None:
            plan = engine.plan(owner[0], N)
            values["local"] = log_odds(engine.logits(plan, inputs[0], baseline), label.expand(2**N))

        plan = engine.plan(owner[0], N)
        predicted.append(plan.predicted_speedup)
        ends.append(f"{plan.dense_from[0].removeprefix('backbone.')}: {plan.dense_from[1]}" if plan.dense_from else "")
        with exact_float32():
            dense_s, local_s = (seconds(side) for side in (dense, local))
        faster.append(dense_s * 2**N / TIMED / local_s)
        errors.append((values["dense"] - values["local"][subset]).abs().max() / values["dense"].abs().max())
    taken = "local" if predicted[0] >= WORTHWHILE["auto"] else "dense"
    return {
        "model": name,
        "local, times faster than dense": round(statistics.median(faster), 2),
        "least": round(min(faster), 2),
        "predicted": round(statistics.median(predicted), 2),
        "auto takes": taken,
        "dense from": ends[0],
        "largest difference": f"{max(errors):.1e}",
    }


def calibrate(model: nn.Module, images: torch.Tensor) -> None:
    """Sets batch-norm from random images: otherwise the signals of a new network may vanish, and all differences with
    them."""
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = 1.0
            nn.init.uniform_(layer.weight, 0.5, 1.5)  # many networks begin the last norm of a block with zeros
    model.train()(images)
    model.eval()


def seconds(side: Callable[[], None]) -> float:
    """Measures one call, which is enough, as it takes seconds."""
    started = time.perf_counter()
    side()
    if torch.accelerator.is_available():
        torch.accelerator.synchronize()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
