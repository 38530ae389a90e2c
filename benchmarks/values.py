"""What the values of all masked inputs cost: python -m benchmarks.values [MODEL ...]

raw      the model's own forward passes on masked inputs that were made beforehand, in the same batches
dense    our values by forward passes, masks and all
local    our values by receptive fields, indices and all (convolutional networks)

Sides alternate in one process; medians. Large networks: raw and dense on a part of the masked inputs, local on all.
Writes benchmarks/values.csv.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd
import torch

from benchmarks.timing import alternate, place, record
from interactions.local import Local
from interactions.masking import masked, membership
from interactions.patches import draw_patches, owner_map
from interactions.tokens import embedding, tokens
from interactions.values import log_odds, masked_values
from models.backbone import Classifier
from models.text import bert
from models.vision import conv4, resnet18, timm_network, torchvision_network, vit_tiny
from training.device import exact_float32

NS, REPEATS = (8, 10, 12), 3


@dataclass(frozen=True)
class Case:
    """side: pixels, or 0 for 32 words; grid, margin: of the patches; batch: inputs at once; timed: by raw and dense."""

    make: Callable[[], torch.nn.Module]
    side: int
    grid: int
    batch: int
    timed: int


CASES = {
    "conv4": Case(lambda: conv4(10), 32, 8, 256, 1024),
    "resnet18 (cifar)": Case(lambda: resnet18(10, "cifar"), 32, 8, 64, 256),
    "vit_tiny": Case(lambda: vit_tiny(10), 32, 8, 256, 1024),
    "vgg16": Case(lambda: torchvision_network("vgg16", 10), 224, 8, 16, 32),
    "resnet50": Case(lambda: torchvision_network("resnet50", 10), 224, 8, 32, 64),
    "vit_s": Case(lambda: timm_network("vit_small_patch16_224", 10), 224, 7, 32, 64),
    "vit_b": Case(lambda: torchvision_network("vit_b_16", 10), 224, 7, 32, 32),
    "bert": Case(lambda: bert(2), 0, 0, 32, 64),
}


def main() -> None:
    """On a CPU the largest networks at n = 12 and ViT-B, which is ViT-S again, take too long: they are for a GPU."""
    slow = place().type == "cpu"
    wanted = sys.argv[1:] or [name for name in CASES if not (slow and name == "vit_b")]
    cases = [(name, n) for name in wanted for n in NS if not (slow and name == "resnet50" and n == 12)]
    record(pd.DataFrame([measure(name, CASES[name], n) for name, n in cases]), __file__)


def problem(case: Case, n: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Input [1, ...], baseline and owner [1, ...] of one sample."""
    torch.manual_seed(0)
    if case.side == 0:
        owner = torch.full((1, 32), -1)
        owner[0, 2 : 2 + 2 * n : 2] = torch.arange(n)
        return torch.randint(1000, 20000, (1, 32)), torch.tensor(103), owner
    boxes = draw_patches(n, case.grid, 1, case.side, case.side, 0, 0)
    return (
        torch.randn(1, 3, case.side, case.side),
        torch.zeros(3, case.side, case.side),
        owner_map(boxes, case.side, case.side)[None],
    )


def measure(name: str, case: Case, n: int) -> dict[str, object]:
    where = place()
    model = Classifier(case.make()).eval().to(where, memory_format=torch.channels_last)
    inputs, baseline, owner = (part.to(where) for part in problem(case, n))
    member, label = membership(owner), torch.zeros(1, dtype=torch.long, device=where)
    count = min(case.timed, 2**n)
    subset = torch.randperm(2**n, device=where)[:count]
    sample = torch.zeros_like(subset)
    layer = embedding(model, inputs)
    embedded = tokens(model, layer, inputs, baseline, owner) if layer else None
    batches = [
        masked(inputs[s], baseline, member[s], t)
        for s, t in zip(sample.split(case.batch), subset.split(case.batch), strict=True)
    ]
    if case.side:
        batches = [batch.contiguous(memory_format=torch.channels_last) for batch in batches]

    @torch.inference_mode()
    def raw() -> None:
        for batch in batches:
            model(batch)

    def dense() -> torch.Tensor:
        return masked_values(model, inputs, baseline, member, label, sample, subset, case.batch, embedded)

    row = {"model": name, "n": n}
    with exact_float32():
        raw_s, dense_s = alternate([raw, dense], REPEATS)
        row |= {
            "raw, ms per input": round(1000 * raw_s / count, 3),
            "dense / raw throughput": round(raw_s / dense_s, 3),
        }
        engine = Local(model, inputs.shape[1:]) if case.side else None
        if engine is None or engine.reason:
            return row

        def local() -> torch.Tensor:
            plan = engine.plan(owner[0], n)
            return log_odds(engine.logits(plan, inputs[0], baseline), label.expand(2**n))

        expected, found = dense(), local()[subset]
        dense_s, local_s = alternate([dense, local], 1 if case.side > 32 else 3)
    row |= {"local, times faster than dense": round(dense_s * 2**n / count / local_s, 2),
            "predicted": round(engine.plan(owner[0], n).predicted_speedup, 2),
            "largest difference": f"{(expected - found).abs().max() / expected.abs().max():.1e}"}  # fmt: skip
    return row


if __name__ == "__main__":
    main()
